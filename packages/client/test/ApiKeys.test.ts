import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { inspect } from "node:util"
import * as ApiKeys from "../src/ApiKeys.ts"
import * as App from "../src/App.ts"
import * as Credentials from "../src/Credentials.ts"
import * as Policy from "../src/Policy.ts"
import type * as TokenStore from "../src/TokenStore.ts"
import * as User from "../src/User.ts"
import * as Scripted from "./scripted.ts"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const id = "5f87976b7b800b285345a8b4"
const key = "k".repeat(64)
const shown = { _id: id, name: "my-key", disabled: false }
const ours = { id, name: "my-key", disabled: false }

type Client = HttpClient.HttpClient | TokenStore.TokenStore

/** A server that knows one key; its other answers are a well-behaved server's. */
const wellBehaved = (sent: Scripted.Sent): Scripted.Answer | undefined => {
  if (!sent.path.includes("/auth/api_keys")) return undefined
  if (sent.method === "POST") return { status: 201, body: { ...shown, key } }
  if (sent.method !== "GET") return { status: 204 }
  return { body: sent.path.endsWith("/api_keys") ? [shown] : shown }
}

interface Case {
  readonly first: (user: User.User) => Effect.Effect<unknown, ApiKeys.ApiKeysError, Client>
  readonly last: (user: User.User) => Effect.Effect<unknown, ApiKeys.ApiKeysError, Client>
  readonly line: string
  readonly body?: unknown
  readonly answer?: unknown
}

const path = "/api/client/v2.0/auth/api_keys"

const operations: Readonly<Record<string, Case>> = {
  create: {
    first: (user) => ApiKeys.create(user, "my-key"),
    last: (user) => user.pipe(ApiKeys.create("my-key")),
    line: `POST ${path}`,
    body: { name: "my-key" },
    answer: { ...ours, key: Redacted.make(key) }
  },
  fetch: {
    first: (user) => ApiKeys.fetch(user, id),
    last: (user) => user.pipe(ApiKeys.fetch(id)),
    line: `GET ${path}/${id}`,
    answer: ours
  },
  fetchAll: {
    first: (user) => ApiKeys.fetchAll(user),
    last: (user) => user.pipe(ApiKeys.fetchAll),
    line: `GET ${path}`,
    answer: [ours]
  },
  enable: {
    first: (user) => ApiKeys.enable(user, id),
    last: (user) => user.pipe(ApiKeys.enable(id)),
    line: `PUT ${path}/${id}/enable`
  },
  disable: {
    first: (user) => ApiKeys.disable(user, id),
    last: (user) => user.pipe(ApiKeys.disable(id)),
    line: `PUT ${path}/${id}/disable`
  },
  delete: {
    first: (user) => ApiKeys.delete(user, id),
    last: (user) => user.pipe(ApiKeys.delete(id)),
    line: `DELETE ${path}/${id}`
  }
}

const refusals: ReadonlyArray<readonly [Scripted.Answer, string]> = [
  [Scripted.refusal(401, "invalid session: failed to find refresh token", "InvalidSession"), "SessionError"],
  [Scripted.refusal(401, "unauthorized"), "SessionError"],
  [Scripted.refusal(401, "user disabled", "UserDisabled"), "SessionError"],
  [{ status: 401, text: "<html>", contentType: "text/html" }, "InvalidResponseError"],
  [Scripted.refusal(403, "forbidden"), "RequestError"],
  [Scripted.refusal(404, "API key not found", "APIKeyNotFound"), "ApiKeyError"],
  [Scripted.refusal(409, "API key with name already exists", "APIKeyAlreadyExists"), "ApiKeyError"],
  [Scripted.refusal(400, "can only contain ASCII letters", "InvalidParameter"), "RequestError"],
  [Scripted.refusal(404, "authentication via 'api-key' is unsupported", "AuthProviderNotFound"), "AuthError"],
  [Scripted.refusal(418, "no coffee", "Teapot"), "UnknownServiceError"],
  [{ status: 502, text: "<html>", contentType: "text/html" }, "InvalidResponseError"],
  [{ status: 200, text: "", contentType: "application/json" }, "InvalidResponseError"]
]

describe("ApiKeys", () => {
  for (const [name, { answer, body, first, last, line }] of Object.entries(operations)) {
    it.effect(`${name} is one request with the refresh token, in both call styles`, () => {
      const server = Scripted.make(wellBehaved)
      return Scripted.asUser(server, (user, sent) =>
        Effect.gen(function*() {
          for (const operation of [first, last]) assert.deepStrictEqual(yield* operation(user), answer)
          assert.deepStrictEqual(sent().map(({ method, path }) => `${method} ${path}`), [line, line])
          for (const one of sent()) {
            assert.deepStrictEqual(one.body, body)
            assert.strictEqual(one.headers["authorization"], "Bearer refresh-u1")
          }
        }))
    })

    it.effect(`${name} that is refused fails typed, is not sent again, exchanges nothing and logs nobody out`, () =>
      Effect.gen(function*() {
        for (const [refused, tag] of refusals) {
          // An empty success is what the last three want.
          if (refused.status === 200 && answer === undefined) continue
          const server = Scripted.make((sent) => sent.path.includes("/auth/api_keys") ? refused : undefined)
          yield* Scripted.asUser(server, (user, sent) =>
            Effect.gen(function*() {
              const error = yield* Effect.flip(Policy.provide(first(user), { reads: Policy.never }))
              assert.strictEqual(error._tag, tag, JSON.stringify(refused))
              assert.strictEqual(sent().length, 1)
              assert.isTrue(yield* User.isLoggedIn(user))
              assert.strictEqual(yield* User.callFunction(user, "sum", [1, 2]), 3)
            }))
        }
      }))

    it.effect(`${name} of a user who is logged out sends nothing`, () => {
      const server = Scripted.make(wellBehaved)
      return Scripted.asUser(server, (user, sent) =>
        Effect.gen(function*() {
          yield* User.logOut(user)
          const before = sent().length
          assert.strictEqual((yield* Effect.flip(first(user)))._tag, "NotLoggedInError")
          assert.strictEqual(sent().length, before)
        }))
    })

    it.effect(`${name} needs no access token that is fresh`, () => {
      const server = Scripted.make(wellBehaved)
      return Scripted.asUser(server, (user, sent) =>
        Effect.gen(function*() {
          yield* TestClock.adjust("2 hours")
          yield* first(user)
          assert.strictEqual(sent().length, 1)
        }))
    })
  }

  for (const name of ["create", "enable", "disable", "delete"]) {
    it.effect(`${name} is sent once also when the server fails`, () => {
      const server = Scripted.make((sent) =>
        sent.path.includes("/auth/api_keys") ? Scripted.refusal(503, "busy", "InternalServerError") : undefined
      )
      return Scripted.asUser(server, (user, sent) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* Effect.flip(operations[name]!.first(user)))._tag, "AppError")
          assert.strictEqual(sent().length, 1)
        }))
    })
  }

  it.effect("a new key's secret is shown by nothing, an answer that cannot be read included", () =>
    Effect.gen(function*() {
      yield* Scripted.asUser(Scripted.make(wellBehaved), (user) =>
        Effect.gen(function*() {
          const made = yield* ApiKeys.create(user, "my-key")
          assert.strictEqual(Redacted.value(made.key), key)
          for (const text of [JSON.stringify(made), inspect(made), String(made.key)]) assert.notInclude(text, key)
        }))
      const torn = Scripted.make((sent) =>
        sent.path.includes("/auth/api_keys") ? { status: 201, body: { key, name: 7 } } : undefined
      )
      yield* Scripted.asUser(torn, (user) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(ApiKeys.create(user, "my-key"))
          assert.strictEqual(error._tag, "InvalidResponseError")
          for (const text of [JSON.stringify(error), inspect(error), error.message]) assert.notInclude(text, key)
        }))
    }))

  it.effect("an id never leaves its place in the path", () => {
    const server = Scripted.make(wellBehaved)
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        for (const strange of ["../session", "a/enable", "a?b#c", "日本"]) {
          yield* ApiKeys.delete(user, strange)
          assert.strictEqual(sent().at(-1)?.path, `${path}/${encodeURIComponent(strange)}`)
        }
      }))
  })
})

describe("An id that no path can hold", () => {
  it.effect("is no key's, and nothing is sent", () => {
    const server = Scripted.make(wellBehaved)
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        const before = sent().length
        for (const id of ["", ".", "..", "\ud800"]) {
          for (const operation of [ApiKeys.fetch, ApiKeys.enable, ApiKeys.disable, ApiKeys.delete]) {
            const error = yield* Effect.flip(Effect.asVoid(operation(user, id)))
            assert.isTrue(error._tag === "ApiKeyError" && error.reason._tag === "APIKeyNotFound", id)
          }
        }
        // A program without types, which reads the id of a key by its name of old.
        const missing = yield* Effect.exit(ApiKeys.delete(user, undefined as unknown as string))
        assert.include(String(missing), "[\"id\"]")
        assert.strictEqual(sent().length, before)
      }))
  })
})

describe("Credentials.apiKey", () => {
  it.effect("logs in and links with the body of the protocol", () => {
    const server = Scripted.make()
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        yield* App.logIn(app, Credentials.apiKey(key))
        assert.strictEqual(yield* User.providerType(user), "api-key")
        yield* User.linkCredentials(user, Credentials.apiKey(Redacted.make(key)))
        const logIns = sent().filter(({ path }) => path.includes("/login"))
        assert.deepStrictEqual(logIns.map(({ path }) => path), [
          "/api/client/v2.0/app/shop-abcde/auth/providers/api-key/login",
          "/api/client/v2.0/app/shop-abcde/auth/providers/api-key/login?link=true"
        ])
        assert.isUndefined(logIns[0]?.headers["authorization"])
        assert.match(logIns[1]?.headers["authorization"] ?? "", /^Bearer eyJ/)
        for (const { body } of logIns) assert.propertyVal(body, "key", key)
      }))
  })
})
