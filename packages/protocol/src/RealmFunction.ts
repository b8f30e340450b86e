/**
 * Contracts: a function of the app declared once, by schemas, where client and server both see it. The client calls it
 * with typed arguments and gets typed results and errors; the server implements it as an Effect, or as JavaScript.
 *
 * **Values.** Each schema is used down to BSON values: dates, bytes, ids, `bigint` and the types of `Ejson` travel as what
 * they are, an `Option` or a `URL` in the form it has in JSON. A `number` and a `bigint` of the same size are the same
 * int64 on the wire, so a union of both cannot be told apart.
 *
 * **A function's own errors** travel as what App Services made of a JavaScript object that was thrown (protocol section
 * 8.2): a `FunctionExecutionError` whose message is the Extended JSON of the encoded error. A client without the contract
 * shows that text; exported JavaScript can throw a contract's errors as plain objects. Servers log why they refuse, so an
 * error is no place for a secret.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as Ejson from "./Ejson.ts"
import * as BsonCodec from "./internal/bsonCodec.ts"
import * as ValuePath from "./internal/valuePath.ts"
import * as RealmError from "./RealmError.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** A schema that needs no services. */
export interface ValueSchema extends Schema.ConstraintCodec<unknown, unknown> {}

/** A schema of a list of arguments that needs no services. */
export interface ArgsSchema extends Schema.ConstraintCodec<ReadonlyArray<unknown>, unknown> {}

const TypeId = "~effect-realm/protocol/RealmFunction"

/** What a function takes, answers and fails with. Made by {@link make}, or by {@link makeStream}. */
export interface RealmFunction<
  Name extends string,
  Args extends ArgsSchema,
  Success extends ValueSchema,
  Error extends ValueSchema,
  Streams extends boolean = false
> {
  readonly [TypeId]: typeof TypeId
  /** The name it is called by, with `/` for folders. */
  readonly name: Name
  /** The schema of the whole list of arguments. */
  readonly args: Args
  /** What it answers; of a function that streams, each of its values. */
  readonly success: Success
  /** The schema of the function's own errors; `Schema.Never` when it has none. */
  readonly error: Error
  /** Whether it answers a stream of values, not one. */
  readonly streams: Streams
  /** How its values travel. Clients call through `User.callFunction`, servers implement by `FunctionGroup.layer`. */
  readonly codec: Codec<Args["Type"], Success["Type"], Error["Type"]>
}

/** How the values of a contract travel, as Extended JSON. A contract makes its codec when it is first used. */
export interface Codec<out Args, out Success, out Error> {
  /** On the client. */
  readonly encodeArgs: (args: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Schema.Json>, ContractError>
  /** On the server. */
  readonly decodeArgs: (json: ReadonlyArray<unknown>) => Effect.Effect<Args, ContractError>
  /** On the server. */
  readonly encodeResult: (result: unknown) => Effect.Effect<Schema.Json, ContractError>
  /** On the client. */
  readonly decodeResult: (json: unknown) => Effect.Effect<Success, ContractError>
  /** On the server: the refusal that an own error travels as. */
  readonly encodeError: (error: unknown) => Effect.Effect<RealmError.FunctionError, ContractError>
  /** On the server: the refusal of arguments that do not fit. */
  readonly refuseArgs: (error: ContractError) => RealmError.FunctionError
  /** On the client: what a refusal means by this contract. Always fails. */
  readonly decodeError: (
    refusal: RealmError.FunctionError
  ) => Effect.Effect<never, Error | ContractError | RealmError.FunctionError>
}

/** Any contract. */
export interface Any extends RealmFunction<string, ArgsSchema, ValueSchema, ValueSchema, boolean> {}

/** Any contract of a function that answers once. */
export interface AnyCall extends RealmFunction<string, ArgsSchema, ValueSchema, ValueSchema> {}

/** Any contract of a function that streams. */
export interface AnyStream extends RealmFunction<string, ArgsSchema, ValueSchema, ValueSchema, true> {}

/** Contracts that belong together, each under the name of its method. A module that exports only contracts is one too. */
export interface Group {
  readonly [method: string]: Any
}

/** The arguments of a contract's function. */
export type Args<F extends Any> = F["args"]["Type"]

/** What a contract's function answers, or each of the values that it streams. */
export type Success<F extends Any> = F["success"]["Type"]

/** The own errors of a contract's function. */
export type OwnError<F extends Any> = F["error"]["Type"]

/**
 * Whether a value is a contract.
 *
 * ```ts
 * import { RealmFunction } from "@effect-realm/protocol"
 *
 * RealmFunction.isRealmFunction(RealmFunction.make("ping")) // => true
 * RealmFunction.isRealmFunction("ping") // => false
 * ```
 */
export const isRealmFunction = (value: unknown): value is Any => Predicate.hasProperty(value, TypeId)

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * A value does not fit the contract of its function: client and server do not have the same one, or a check that types
 * cannot express failed.
 *
 * - `part` `args`: the function did not run. `by` says whether the client refused them, and sent nothing, or the server.
 * - `part` `result` or `error`: it ran, and what came of it does not fit.
 *
 * ```ts
 * import { RealmFunction } from "@effect-realm/protocol"
 *
 * const error = new RealmFunction.ContractError({
 *   function: "sum",
 *   part: "args",
 *   by: "Server",
 *   path: "args[1]",
 *   detail: "Expected an integer"
 * })
 * error.message // => "args[1] does not fit the contract of sum: Expected an integer. Give client and server the same contract."
 * ```
 */
export class ContractError
  extends Schema.TaggedError<ContractError>("@effect-realm/protocol/ContractError")("ContractError", {
    /** Name of the function. */
    function: Schema.String,
    part: Schema.Literals(["args", "result", "error"]),
    /** Who found it. */
    by: Schema.Literals(["Client", "Server"]),
    /** Where, like `args[0].when`; never the value itself. */
    path: Schema.String,
    /** What was expected there. */
    detail: Schema.String
  })
{
  override get message(): string {
    return `${this.path} does not fit the contract of ${this.function}: ${this.detail}. ` +
      "Give client and server the same contract."
  }
}

type Part = ContractError["part"]
type Side = ContractError["by"]

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/** What {@link make} takes for the arguments: one schema each, or one for the whole list. */
export type ArgsOption = ReadonlyArray<ValueSchema> | ArgsSchema

/** The schema that {@link make} makes of its arguments. */
export type ArgsOf<A extends ArgsOption> = A extends ReadonlyArray<ValueSchema> ? Schema.Tuple<A>
  : A extends ArgsSchema ? A
  : never

const FunctionName = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, {
    expected: "a function name of letters, digits, \"_\" and \"-\", with \"/\" between folders"
  })
)

const ASchema = Schema.Unknown.check(Schema.makeFilter(Schema.isSchema, { expected: "a schema" }))

const checkDeclaration = Schema.decodeUnknownSync(
  Schema.Struct({ name: FunctionName, args: Schema.Array(ASchema), success: ASchema, error: ASchema })
)

/**
 * Declares a function.
 *
 * Throws a `SchemaError` when the name is none that a function can have, and when something else is given for a schema.
 *
 * @param name what the function is called by, with `/` for folders
 * @param options.args one schema for each argument, or one for the whole list: `Schema.Array(Schema.Int)`; none by default
 * @param options.success what it answers; nothing by default
 * @param options.error its own errors; none by default
 *
 * ```ts
 * import { RealmFunction } from "@effect-realm/protocol"
 * import { Effect, Schema } from "effect"
 *
 * class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { left: Schema.Int }) {}
 *
 * const order = RealmFunction.make("orders/place", {
 *   args: [Schema.String, Schema.Int],
 *   success: Schema.Struct({ at: Schema.Date, total: Schema.Int }),
 *   error: OutOfStock
 * })
 * order.name // => "orders/place"
 *
 * const wrong = Effect.runSync(Effect.flip(order.codec.decodeArgs(["tea", "two"])))
 * wrong.path // => "args[1]"
 * ```
 */
export const make = <
  const Name extends string,
  const A extends ArgsOption = readonly [],
  S extends ValueSchema = Schema.Void,
  E extends ValueSchema = Schema.Never
>(
  name: Name,
  options?: { readonly args?: A; readonly success?: S; readonly error?: E }
): RealmFunction<Name, ArgsOf<A>, S, E> => declare(name, options, false)

/**
 * Declares a function that streams: it answers value after value, for as long as somebody reads and it has some (protocol
 * section 8.4). Clients call it by `User.callFunctionStreaming`; only a server of ours has such functions.
 *
 * Throws a `SchemaError` when the name is none that a function can have.
 *
 * @param name what the function is called by, with `/` for folders
 * @param options.args one schema for each argument, or one for the whole list; none by default
 * @param options.success each of its values; nothing by default
 * @param options.error its own errors, which end the stream; none by default
 *
 * ```ts
 * import { RealmFunction } from "@effect-realm/protocol"
 * import { Schema } from "effect"
 *
 * const prices = RealmFunction.makeStream("prices/follow", {
 *   args: [Schema.String],
 *   success: Schema.Struct({ at: Schema.Date, price: Schema.BigInt })
 * })
 * prices.streams // => true
 * ```
 */
export const makeStream = <
  const Name extends string,
  const A extends ArgsOption = readonly [],
  S extends ValueSchema = Schema.Void,
  E extends ValueSchema = Schema.Never
>(
  name: Name,
  options?: { readonly args?: A; readonly success?: S; readonly error?: E }
): RealmFunction<Name, ArgsOf<A>, S, E, true> => declare(name, options, true)

const declare = <
  Name extends string,
  A extends ArgsOption,
  S extends ValueSchema,
  E extends ValueSchema,
  T extends boolean
>(
  name: Name,
  options: { readonly args?: A; readonly success?: S; readonly error?: E } | undefined,
  streams: T
): RealmFunction<Name, ArgsOf<A>, S, E, T> => {
  const { error = Schema.Never, success = Schema.Void } = options ?? {}
  const args: ArgsOption = options?.args ?? []
  checkDeclaration({ name, args: isList(args) ? args : [args], success, error })
  const fields = {
    [TypeId]: TypeId,
    name,
    args: isList(args) ? Schema.Tuple(args) : args,
    success,
    error,
    streams
  } as const
  let codec: Any["codec"] | undefined
  const contract: Any = {
    ...fields,
    get codec() {
      return codec ??= makeCodec(fields)
    }
  }
  // What is left out has the type that is its default.
  return Object.freeze(contract) as RealmFunction<Name, ArgsOf<A>, S, E, T>
}

const isList = (args: ArgsOption): args is ReadonlyArray<ValueSchema> => Array.isArray(args)

// -----------------------------------------------------------------------------
// Codec
// -----------------------------------------------------------------------------

const argsRefusal = / does not fit the contract: /

const makeCodec = (contract: Omit<Any, "codec">): Any["codec"] => {
  const failure = (part: Part, by: Side) => (path: string, detail: string): ContractError =>
    new ContractError({ function: contract.name, part, by, path, detail })

  const fromEjson = (toError: ReturnType<typeof failure>) => (error: Ejson.EjsonError): ContractError =>
    toError(error.path, error.message)

  const fromIssue = (part: Part, toError: ReturnType<typeof failure>) => (issue: SchemaIssue.Issue): ContractError => {
    const first = issues(issue).issues[0]
    const path = (first?.path ?? []).map((key) => Predicate.hasProperty(key, "key") ? key.key : key)
    // A formatter answers one issue at least.
    return toError(ValuePath.format(part, path), first?.message ?? "Expected another value")
  }

  const encoder = (schema: ValueSchema, part: Part, by: Side) => {
    const encode = SchemaParser.encodeUnknownEffect(BsonCodec.make(schema))
    const toError = failure(part, by)
    const ofIssue = fromIssue(part, toError)
    const ofEjson = fromEjson(toError)
    return (value: unknown): Effect.Effect<Schema.Json, ContractError> =>
      Effect.flatMap(
        Effect.mapError(encode(value), ofIssue),
        (bson) => Effect.fromResult(Result.mapError(Ejson.encode(bson, { root: part }), ofEjson))
      )
  }

  const decoder = (schema: ValueSchema, part: Part, by: Side) => {
    const decode = SchemaParser.decodeUnknownEffect(BsonCodec.make(schema))
    const toError = failure(part, by)
    const ofIssue = fromIssue(part, toError)
    const ofEjson = fromEjson(toError)
    return (json: unknown): Effect.Effect<unknown, ContractError> => {
      const bson = Ejson.decode(json, { root: part })
      return Result.isFailure(bson)
        ? Effect.fail(ofEjson(bson.failure))
        : Effect.mapError(decode(bson.success), ofIssue)
    }
  }

  const encodeError = encoder(contract.error, "error", "Server")
  const decodeError = decoder(contract.error, "error", "Client")
  const hasErrors = contract.error !== Schema.Never

  const own = (text: string): Option.Option<unknown> => {
    if (!hasErrors) return Option.none()
    try {
      return Option.some(JSON.parse(text))
    } catch {
      return Option.none()
    }
  }

  return {
    // A schema of a list of arguments encodes to a list, and decodes to one.
    encodeArgs: encoder(contract.args, "args", "Client") as Any["codec"]["encodeArgs"],
    decodeArgs: decoder(contract.args, "args", "Server") as Any["codec"]["decodeArgs"],
    encodeResult: encoder(contract.success, "result", "Server"),
    decodeResult: decoder(contract.success, "result", "Client"),
    encodeError: (error) =>
      Effect.map(encodeError(error), (json) => RealmError.make("FunctionExecutionError", JSON.stringify(json))),
    refuseArgs: ({ detail, path }) =>
      RealmError.make("ArgumentsNotAllowed", `${path} does not fit the contract: ${detail}`),
    decodeError: (refusal) => {
      const { _tag, message } = refusal.reason
      if (_tag === "ArgumentsNotAllowed") {
        const [path = "", ...detail] = message.split(argsRefusal)
        return Effect.fail(detail.length === 0 ? refusal : failure("args", "Server")(path, detail.join("")))
      }
      if (_tag !== "FunctionExecutionError") return Effect.fail(refusal)
      return Option.match(own(message), {
        onNone: () => Effect.fail(refusal),
        // Words that happen to be JSON, such as `12`, are words; a document that does not fit was meant to be an error.
        onSome: (json) =>
          Effect.matchEffect(decodeError(json), {
            onFailure: (mismatch) => Effect.fail(Predicate.isObject(json) ? mismatch : refusal),
            onSuccess: (error) => Effect.fail(error)
          })
      })
    }
  }
}
