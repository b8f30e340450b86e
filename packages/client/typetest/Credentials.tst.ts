import { App, Credentials, type TokenStore, User } from "@effect-realm/client"
import type { Effect, Redacted } from "effect"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

declare const app: App.App
declare const user: User.User
declare const secret: Redacted.Redacted

type Operation<A, E> = Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>

describe("credentials are made from secrets, redacted or not, and nothing else", () => {
  test("anonymous", () => {
    expect(Credentials.anonymous()).type.toBe<Credentials.Anonymous>()
    expect(Credentials.anonymous).type.toBeCallableWith({ reuse: false })
    expect(Credentials.anonymous).type.not.toBeCallableWith({ reuse: "no" })
  })

  test("emailPassword", () => {
    expect(Credentials.emailPassword({ email: "a", password: secret })).type.toBe<Credentials.EmailPassword>()
    expect(Credentials.emailPassword).type.toBeCallableWith({ email: "a", password: "b" })
    expect(Credentials.emailPassword).type.not.toBeCallableWith({ email: "a" })
    expect(Credentials.emailPassword).type.not.toBeCallableWith("a", "b")
  })

  test("function", () => {
    expect(Credentials.function({ id: 1 })).type.toBe<Credentials.Function>()
    expect(Credentials.function).type.not.toBeCallableWith("a")
    expect(Credentials.function).type.not.toBeCallableWith()
  })

  test("apiKey", () => {
    expect(Credentials.apiKey(secret)).type.toBe<Credentials.ApiKey>()
    expect(Credentials.apiKey).type.toBeCallableWith("a")
    expect(Credentials.apiKey).type.not.toBeCallableWith({ key: "a" })
  })

  test("jwt", () => {
    expect(Credentials.jwt(secret)).type.toBe<Credentials.Jwt>()
    expect(Credentials.jwt).type.toBeCallableWith("a")
    expect(Credentials.jwt).type.not.toBeCallableWith(7)
  })

  test("google", () => {
    type Google = Credentials.GoogleIdToken | Credentials.GoogleAuthCode
    expect(Credentials.google({ idToken: secret })).type.toBe<Google>()
    expect(Credentials.google({ authCode: "a" })).type.toBe<Google>()
    expect(Credentials.google).type.not.toBeCallableWith("a")
    expect(Credentials.google).type.not.toBeCallableWith({})
  })

  test("facebook", () => {
    expect(Credentials.facebook(secret)).type.toBe<Credentials.Facebook>()
    expect(Credentials.facebook).type.toBeCallableWith("a")
    expect(Credentials.facebook).type.not.toBeCallableWith({ accessToken: "a" })
  })

  test("apple", () => {
    expect(Credentials.apple(secret)).type.toBe<Credentials.Apple>()
    expect(Credentials.apple).type.toBeCallableWith("a")
    expect(Credentials.apple).type.not.toBeCallableWith({ idToken: "a" })
  })
})

describe("what is secret in credentials is redacted", () => {
  test("whatever they were made from", () => {
    expect<Credentials.EmailPassword["password"]>().type.toBe<Redacted.Redacted>()
    expect<Credentials.ApiKey["key"]>().type.toBe<Redacted.Redacted>()
    expect<Credentials.Jwt["token"]>().type.toBe<Redacted.Redacted>()
    expect<Credentials.GoogleIdToken["idToken"]>().type.toBe<Redacted.Redacted>()
    expect<Credentials.GoogleAuthCode["authCode"]>().type.toBe<Redacted.Redacted>()
    expect<Credentials.Facebook["accessToken"]>().type.toBe<Redacted.Redacted>()
    expect<Credentials.Apple["idToken"]>().type.toBe<Redacted.Redacted>()
    expect<Credentials.Function["payload"]>().type.toBeAssignableTo<Redacted.Redacted<object>>()
  })
})

describe("every kind", () => {
  test("logs in, and all but anonymous ones can be linked, with the same requirements and errors", () => {
    expect<Credentials.Credentials["_tag"]>().type.toBe<
      | "Anonymous"
      | "EmailPassword"
      | "Function"
      | "ApiKey"
      | "Jwt"
      | "GoogleIdToken"
      | "GoogleAuthCode"
      | "Facebook"
      | "Apple"
    >()
    expect<Credentials.Linkable>().type.toBe<Exclude<Credentials.Credentials, Credentials.Anonymous>>()
    expect(App.logIn(app, Credentials.jwt("a"))).type.toBe<Operation<User.User, App.LogInError>>()
    expect(App.logIn(app, Credentials.google({ idToken: "a" }))).type.toBe<Operation<User.User, App.LogInError>>()
    expect(App.logIn(app, Credentials.facebook("a"))).type.toBe<Operation<User.User, App.LogInError>>()
    expect(App.logIn(app, Credentials.apple("a"))).type.toBe<Operation<User.User, App.LogInError>>()
    expect(App.logIn(app, Credentials.apiKey("a"))).type.toBe<Operation<User.User, App.LogInError>>()
    expect(User.linkCredentials(user, Credentials.jwt("a"))).type.toBe<Operation<void, User.LinkCredentialsError>>()
    expect(User.linkCredentials(user, Credentials.google({ authCode: "a" }))).type.toBe<
      Operation<void, User.LinkCredentialsError>
    >()
    expect(User.linkCredentials(user, Credentials.apple("a"))).type.toBe<Operation<void, User.LinkCredentialsError>>()
  })
})
