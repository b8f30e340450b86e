import { type ClientError, Push, type TokenStore, User } from "@effect-realm/client"
import type { RealmError } from "@effect-realm/protocol"
import { Effect, Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" })
const token = Redacted.make("token")

type Operation<E> = Effect.Effect<void, E, HttpClient.HttpClient | TokenStore.TokenStore>

describe("operations need exactly HttpClient and TokenStore, data-first and data-last", () => {
  test("register", () => {
    expect(Push.register(user, "gcm", token)).type.toBe<Operation<Push.RegisterError>>()
    expect(user.pipe(Push.register("gcm", token))).type.toBe<Operation<Push.RegisterError>>()
    expect(Push.register).type.not.toBeCallableWith(user, "gcm")
    expect(Push.register).type.not.toBeCallableWith(user, "gcm", "token")
  })

  test("deregister", () => {
    expect(Push.deregister(user, "gcm")).type.toBe<Operation<Push.DeregisterError>>()
    expect(user.pipe(Push.deregister("gcm"))).type.toBe<Operation<Push.DeregisterError>>()
    expect(Push.deregister).type.not.toBeCallableWith(user, 7)
  })
})

describe("errors", () => {
  test("are the ones that can happen, by name", () => {
    expect<Push.RegisterError>().type.toBe<ClientError.ExchangeError | RealmError.ServiceError>()
    expect<Push.DeregisterError>().type.toBe<Push.RegisterError>()
  })

  test("that do not happen cannot be caught", () => {
    const give = () => Effect.succeed("handled")
    expect(Effect.catchTag).type.not.toBeCallableWith(Push.deregister(user, "gcm"), "FunctionError", give)
    expect(Effect.catchTag).type.toBeCallableWith(Push.deregister(user, "gcm"), "ServiceError", give)
  })
})
