/**
 * Functions as methods of an object: of every name a function can have, or of a group of contracts.
 */
import type * as Ejson from "@effect-realm/protocol/Ejson"
import type * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import type * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Stream from "effect/Stream"
import type { TokenStore } from "../../TokenStore.ts"
import type * as Sessions from "../sessions/session.ts"
import * as FunctionCalls from "./functionCalls.ts"

type Client = HttpClient.HttpClient | TokenStore

/** Names that are no methods: JavaScript itself asks for them when it awaits, prints or compares. */
export type ReservedName =
  | keyof typeof Object.prototype
  | "__defineGetter__"
  | "__defineSetter__"
  | "__lookupGetter__"
  | "__lookupSetter__"
  | "__proto__"
  | "asymmetricMatch"
  | "catch"
  | "finally"
  | "inspect"
  | "nodeType"
  | "prototype"
  | "then"
  | "toJSON"

const reserved: ReadonlySet<string> = /* @__PURE__ */ new Set([
  "asymmetricMatch",
  "catch",
  "finally",
  "inspect",
  "nodeType",
  "prototype",
  "then",
  "toJSON"
])

const isReserved = (name: string): boolean => name in Object.prototype || reserved.has(name)

const functionName = /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/

const isMethod = (key: PropertyKey): key is string =>
  typeof key === "string" && functionName.test(key) && !isReserved(key)

const owner = /* @__PURE__ */ Symbol("@effect-realm/client/User.functions")

type Method = (...args: ReadonlyArray<unknown>) => Effect.Effect<
  unknown,
  FunctionCalls.CallError | Ejson.EjsonError,
  Client
>

/**
 * An object that has a method of every name a function can have, and is an empty object to all who look at it otherwise.
 */
export const methods = (user: Sessions.UserRef): { readonly [name: string]: Method } => {
  const text = `User.functions(${user.id})`
  const target = Object.defineProperties({}, {
    toString: { value: () => text },
    [Symbol.toPrimitive]: { value: (hint: string) => hint === "number" ? Number.NaN : text },
    [Symbol.for("nodejs.util.inspect.custom")]: { value: () => text },
    // Else any two would be equal, as they look empty.
    [owner]: { value: user },
    [Equal.symbol]: {
      value: (that: { readonly [owner]?: unknown }) => Equal.equals(that[owner], user)
    },
    [Hash.symbol]: { value: () => Hash.hash(user) }
  })
  const made = new Map<string, Method>()
  return new Proxy<{ readonly [name: string]: Method }>(Object.freeze(target), {
    get: (target, key) => {
      if (!isMethod(key)) return Reflect.get(target, key)
      let method = made.get(key)
      // Without a schema nothing can mismatch.
      if (method === undefined) {
        made.set(
          key,
          method = (...args) => FunctionCalls.call(user, key, args) as ReturnType<Method>
        )
      }
      return method
    }
  })
}

const isStream = (contract: RealmFunction.Any): contract is RealmFunction.AnyStream => contract.streams

/** One method for each contract of a group, and nothing else. */
export const contractMethods = (
  user: Sessions.UserRef,
  group: RealmFunction.Group
): {
  readonly [method: string]: (
    ...args: ReadonlyArray<unknown>
  ) => Effect.Effect<unknown, unknown, Client> | Stream.Stream<unknown, unknown, Client>
} =>
  Object.freeze(Object.fromEntries(
    Object.entries(group)
      .filter(([method]) => !isReserved(method))
      .map(([method, contract]) => [
        method,
        (...args: ReadonlyArray<unknown>) =>
          isStream(contract)
            ? FunctionCalls.streamContract(user, contract, args)
            : FunctionCalls.callContract(user, contract, args)
      ])
  ))
