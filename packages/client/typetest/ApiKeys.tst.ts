import { ApiKeys, type ClientError, Credentials, type TokenStore, User } from "@effect-realm/client"
import type { RealmError } from "@effect-realm/protocol"
import { Effect, pipe, type Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" })

type Operation<A, E> = Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>

describe("operations need exactly HttpClient and TokenStore, data-first and data-last", () => {
  test("create", () => {
    expect(ApiKeys.create(user, "my-key")).type.toBe<Operation<ApiKeys.NewApiKey, ApiKeys.CreateError>>()
    expect(user.pipe(ApiKeys.create("my-key"))).type.toBe<Operation<ApiKeys.NewApiKey, ApiKeys.CreateError>>()
    expect(ApiKeys.create).type.not.toBeCallableWith(user)
    expect(ApiKeys.create).type.not.toBeCallableWith(user, 7)
  })

  test("fetch", () => {
    expect(ApiKeys.fetch(user, "id")).type.toBe<Operation<ApiKeys.ApiKey, ApiKeys.FetchError>>()
    expect(user.pipe(ApiKeys.fetch("id"))).type.toBe<Operation<ApiKeys.ApiKey, ApiKeys.FetchError>>()
  })

  test("fetchAll", () => {
    expect(ApiKeys.fetchAll(user)).type.toBe<Operation<ReadonlyArray<ApiKeys.ApiKey>, ApiKeys.FetchAllError>>()
    expect(pipe(user, ApiKeys.fetchAll)).type.toBe<Operation<ReadonlyArray<ApiKeys.ApiKey>, ApiKeys.FetchAllError>>()
  })

  test("enable, disable, delete", () => {
    expect(ApiKeys.enable(user, "id")).type.toBe<Operation<void, ApiKeys.EnableError>>()
    expect(user.pipe(ApiKeys.enable("id"))).type.toBe<Operation<void, ApiKeys.EnableError>>()
    expect(ApiKeys.disable(user, "id")).type.toBe<Operation<void, ApiKeys.DisableError>>()
    expect(user.pipe(ApiKeys.disable("id"))).type.toBe<Operation<void, ApiKeys.DisableError>>()
    expect(ApiKeys.delete(user, "id")).type.toBe<Operation<void, ApiKeys.DeleteError>>()
    expect(user.pipe(ApiKeys.delete("id"))).type.toBe<Operation<void, ApiKeys.DeleteError>>()
  })
})

describe("a key", () => {
  test("has its secret only when it was just made, and then redacted", () => {
    expect<ApiKeys.NewApiKey["key"]>().type.toBe<Redacted.Redacted>()
    expect<ApiKeys.ApiKey>().type.not.toHaveProperty("key")
    expect<ApiKeys.NewApiKey>().type.toBeAssignableTo<ApiKeys.ApiKey>()
  })

  test("is readonly", () => {
    expect<ApiKeys.ApiKey>().type.toBe<{ readonly id: string; readonly name: string; readonly disabled: boolean }>()
  })

  test("is a credential, as text or redacted, that can be linked", () => {
    expect(Credentials.apiKey).type.toBeCallableWith("key")
    expect(User.linkCredentials).type.toBeCallableWith(user, Credentials.apiKey("key"))
    expect(Credentials.apiKey("key").key).type.toBe<Redacted.Redacted>()
    expect(Credentials.apiKey).type.not.toBeCallableWith(7)
  })
})

describe("errors", () => {
  type Each =
    | ClientError.TransportError
    | ClientError.InvalidResponseError
    | RealmError.RequestError
    | RealmError.AppError
    | RealmError.UnknownServiceError
    | RealmError.SessionError
    | RealmError.AuthError
    | RealmError.ApiKeyError
    | ClientError.NotLoggedInError
    | ClientError.TokenStoreError

  test("are the ones that can happen, by name", () => {
    expect<ApiKeys.CreateError>().type.toBe<Each>()
    expect<ApiKeys.FetchError>().type.toBe<Each>()
    expect<ApiKeys.FetchAllError>().type.toBe<Each>()
    expect<ApiKeys.EnableError>().type.toBe<Each>()
    expect<ApiKeys.DisableError>().type.toBe<Each>()
    expect<ApiKeys.DeleteError>().type.toBe<Each>()
  })

  const give = () => Effect.succeed("handled")

  test("that are all caught leave never, the keys' own by reason", () => {
    const handled = ApiKeys.fetch(user, "id").pipe(
      Effect.catchIf((error) => error._tag !== "ApiKeyError", give),
      Effect.unwrapReason("ApiKeyError"),
      Effect.catchTags({ APIKeyNotFound: give, APIKeyAlreadyExists: give })
    )
    expect<Effect.Error<typeof handled>>().type.toBe<never>()
  })

  test("that do not happen cannot be caught", () => {
    expect(Effect.catchTag).type.not.toBeCallableWith(ApiKeys.fetchAll(user), "FunctionError", give)
    expect(Effect.catchTag).type.toBeCallableWith(ApiKeys.fetchAll(user), "ApiKeyError", give)
  })
})
