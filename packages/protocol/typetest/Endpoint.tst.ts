import type { Endpoint, Token } from "@effect-realm/protocol"
import type { Redacted } from "effect"
import type { HttpApiEndpoint } from "effect/http-api"
import { describe, expect, test } from "tstyche"

type Payload<E> = HttpApiEndpoint.Payload<E>["Type"]
type WirePayload<E> = HttpApiEndpoint.Payload<E>["Encoded"]
type Success<E> = HttpApiEndpoint.Success<E>["Type"]

describe("wire names stop at the endpoints", () => {
  test("of a log-in", () => {
    expect<Payload<typeof Endpoint.logInEmailPassword>["email"]>().type.toBe<string>()
    expect<WirePayload<typeof Endpoint.logInEmailPassword>["username"]>().type.toBe<string>()
    expect<keyof Success<typeof Endpoint.logInAnonymous>>().type.toBe<
      "accessToken" | "refreshToken" | "userId" | "deviceId"
    >()
  })

  test("of a profile", () => {
    expect<Success<typeof Endpoint.profile>["identities"][number]["providerType"]>().type.toBe<string>()
  })

  test("of the claims of a token", () => {
    expect<Token.AccessClaims>().type.not.toHaveProperty("sub")
    expect<Token.AccessClaims["userId"]>().type.toBe<string>()
  })
})

describe("secrets are redacted once decoded", () => {
  test("tokens and passwords", () => {
    expect<Success<typeof Endpoint.logInAnonymous>["accessToken"]>().type.toBe<Redacted.Redacted>()
    expect<Success<typeof Endpoint.refreshSession>["accessToken"]>().type.toBe<Redacted.Redacted>()
    expect<Payload<typeof Endpoint.logInEmailPassword>["password"]>().type.toBe<Redacted.Redacted<string>>()
    expect<Payload<typeof Endpoint.register>["password"]>().type.toBe<Redacted.Redacted<string>>()
    expect<Payload<typeof Endpoint.confirm>["token"]>().type.toBe<Redacted.Redacted<string>>()
    expect<Payload<typeof Endpoint.logInApiKey>["key"]>().type.toBe<Redacted.Redacted<string>>()
    expect<Success<typeof Endpoint.createApiKey>["key"]>().type.toBe<Redacted.Redacted<string>>()
  })

  test("an API key that was not just made has none", () => {
    expect<keyof Success<typeof Endpoint.fetchApiKey>>().type.toBe<"id" | "name" | "disabled">()
  })
})
