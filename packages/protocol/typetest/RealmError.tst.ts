import { type Endpoint, RealmError } from "@effect-realm/protocol"
import { Effect, type Schema } from "effect"
import type { HttpApiEndpoint } from "effect/http-api"
import { describe, expect, test } from "tstyche"

describe("a refusal", () => {
  test("belongs to the family of its code", () => {
    expect(RealmError.make("InvalidPassword", "x")).type.toBe<RealmError.AuthError>()
    expect(RealmError.make("InvalidSession", "x")).type.toBe<RealmError.SessionError>()
    expect(RealmError.make("FunctionNotFound", "x")).type.toBe<RealmError.FunctionError>()
    expect(RealmError.make("MongoDBError", "x")).type.toBe<RealmError.DataError>()
    expect(RealmError.make("APIKeyNotFound", "x")).type.toBe<RealmError.ApiKeyError>()
    expect(RealmError.make("ServiceNotFound", "x")).type.toBe<RealmError.ServiceError>()
    expect(RealmError.make("BadRequest", "x")).type.toBe<RealmError.RequestError>()
    expect(RealmError.make("AppNotFound", "x")).type.toBe<RealmError.AppError>()
    expect(RealmError.make).type.not.toBeCallableWith("NoSuchCode", "x")
  })

  test("is one of the families or unknown", () => {
    expect<RealmError.RealmError["_tag"]>().type.toBe<RealmError.Family | "UnknownServiceError">()
  })

  test("is handled exhaustively by reason", () => {
    const failing: Effect.Effect<number, RealmError.ApiKeyError> = Effect.fail(RealmError.make("APIKeyNotFound", "x"))
    const split = failing.pipe(
      Effect.unwrapReason("ApiKeyError"),
      Effect.catchTag("APIKeyNotFound", () => Effect.succeed(1)),
      Effect.catchTag("APIKeyAlreadyExists", () => Effect.succeed(2))
    )
    expect(split).type.toBe<Effect.Effect<number>>()
  })
})

describe("what an endpoint can refuse with", () => {
  type Always = RealmError.RequestError | RealmError.AppError | RealmError.UnknownServiceError
  type Refusal<E> = HttpApiEndpoint.Error<E>["Type"]

  test("is what it declares", () => {
    expect<Refusal<typeof Endpoint.location>>().type.toBe<Always>()
    expect<Refusal<typeof Endpoint.refreshSession>>().type.toBe<Always | RealmError.SessionError>()
    expect<Refusal<typeof Endpoint.callFunction>>().type.toBe<
      | Always
      | RealmError.FunctionError
      | RealmError.SessionError
      | RealmError.ServiceError
      | RealmError.DataError
    >()
    expect<Refusal<typeof Endpoint.register>>().type.toBe<Always | RealmError.AuthError | RealmError.FunctionError>()
  })

  test("travels as the body of the protocol", () => {
    expect<Schema.Codec.Encoded<RealmError.WireCodec<"AuthError">>>().type.toBe<RealmError.Wire>()
  })
})
