import { type App, type ClientError, OAuth, type TokenStore, type User } from "@effect-realm/client"
import type { RealmError } from "@effect-realm/protocol"
import type { Effect } from "effect"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

declare const app: App.App
declare const user: User.User
declare const pendingLogIn: OAuth.PendingLogIn
declare const pendingLink: OAuth.PendingLink
declare const pending: OAuth.Pending
declare const returnedLogIn: OAuth.ReturnedLogIn
declare const returnedLink: OAuth.ReturnedLink

const options = { provider: "google", redirectUri: "https://shop.example/signed-in" } as const

type Operation<A, E> = Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>

describe("OAuth, data-first and data-last", () => {
  test("start asks for a store alone", () => {
    type Start = Effect.Effect<OAuth.Started<OAuth.PendingLogIn>, ClientError.TokenStoreError, TokenStore.TokenStore>
    expect(OAuth.start(app, options)).type.toBe<Start>()
    expect(app.pipe(OAuth.start(options))).type.toBe<Start>()
    expect(OAuth.start).type.not.toBeCallableWith(app, { ...options, provider: "github" })
  })

  test("startLink", () => {
    type StartLink = Operation<OAuth.Started<OAuth.PendingLink>, OAuth.StartLinkError>
    expect(OAuth.startLink(user, options)).type.toBe<StartLink>()
    expect(user.pipe(OAuth.startLink(options))).type.toBe<StartLink>()
  })

  test("parse needs nothing, and answers what set out", () => {
    expect(OAuth.parse("#", pendingLogIn)).type.toBe<Effect.Effect<OAuth.ReturnedLogIn, OAuth.ParseError>>()
    expect(OAuth.parse(pendingLogIn)("#")).type.toBe<Effect.Effect<OAuth.ReturnedLogIn, OAuth.ParseError>>()
    expect(OAuth.parse("#", pendingLink)).type.toBe<Effect.Effect<OAuth.ReturnedLink, OAuth.ParseError>>()
    expect(OAuth.parse("#", pending)).type.toBe<
      Effect.Effect<OAuth.ReturnedLogIn | OAuth.ReturnedLink, OAuth.ParseError>
    >()
  })

  test("logIn takes a log-in, link a link", () => {
    expect(OAuth.logIn(app, returnedLogIn)).type.toBe<Operation<User.User, OAuth.LogInError>>()
    expect(app.pipe(OAuth.logIn(returnedLogIn))).type.toBe<Operation<User.User, OAuth.LogInError>>()
    expect(OAuth.link(user, returnedLink)).type.toBe<Operation<void, OAuth.LinkError>>()
    expect(user.pipe(OAuth.link(returnedLink))).type.toBe<Operation<void, OAuth.LinkError>>()
    expect(OAuth.logIn).type.not.toBeCallableWith(app, returnedLink)
    expect(OAuth.link).type.not.toBeCallableWith(user, returnedLogIn)
  })

  test("what came back is told apart by its tag", () => {
    const end = (returned: OAuth.Returned) =>
      returned._tag === "ReturnedLogIn" ? OAuth.logIn(app, returned) : OAuth.link(user, returned)
    expect(end).type.toBeCallableWith(returnedLogIn)
  })
})

describe("errors", () => {
  type Server =
    | ClientError.TransportError
    | ClientError.InvalidResponseError
    | RealmError.RequestError
    | RealmError.AppError
    | RealmError.UnknownServiceError
  type Session = RealmError.SessionError | ClientError.NotLoggedInError | ClientError.TokenStoreError

  test("are the ones that can happen, by name", () => {
    expect<OAuth.StartLinkError>().type.toBe<Server | Session | RealmError.AuthError | RealmError.FunctionError>()
    expect<OAuth.ParseError>().type.toBe<
      | OAuth.RedirectError
      | RealmError.AuthError
      | RealmError.SessionError
      | RealmError.FunctionError
      | RealmError.RequestError
      | RealmError.AppError
      | RealmError.UnknownServiceError
    >()
    expect<OAuth.LogInError>().type.toBe<
      Server | Session | RealmError.AuthError | RealmError.FunctionError | OAuth.RedirectError
    >()
    expect<OAuth.LinkError>().type.toBe<Server | Session | OAuth.RedirectError>()
  })
})
