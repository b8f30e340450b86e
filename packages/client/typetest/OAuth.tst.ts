import { type App, type ClientError, OAuth, type TokenStore, type User } from "@effect-realm/client"
import type { Effect } from "effect"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

declare const app: App.App
declare const user: User.User
declare const pending: OAuth.Pending
declare const redirected: OAuth.Redirected

const options = { provider: "google", redirectUri: "https://shop.example/signed-in" } as const

type Operation<A, E> = Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>

describe("OAuth, data-first and data-last", () => {
  test("start asks for a store alone", () => {
    type Start = Effect.Effect<OAuth.Started, ClientError.TokenStoreError, TokenStore.TokenStore>
    expect(OAuth.start(app, options)).type.toBe<Start>()
    expect(app.pipe(OAuth.start(options))).type.toBe<Start>()
    expect(OAuth.start).type.not.toBeCallableWith(app, { ...options, provider: "github" })
  })

  test("startLink", () => {
    expect(OAuth.startLink(user, options)).type.toBe<Operation<OAuth.Started, OAuth.StartLinkError>>()
    expect(user.pipe(OAuth.startLink(options))).type.toBe<Operation<OAuth.Started, OAuth.StartLinkError>>()
  })

  test("parse needs nothing", () => {
    expect(OAuth.parse("#", pending)).type.toBe<Effect.Effect<OAuth.Redirected, OAuth.ParseError>>()
    expect(OAuth.parse(pending)("#")).type.toBe<Effect.Effect<OAuth.Redirected, OAuth.ParseError>>()
  })

  test("logIn and link", () => {
    expect(OAuth.logIn(app, redirected)).type.toBe<Operation<User.User, OAuth.LogInError>>()
    expect(app.pipe(OAuth.logIn(redirected))).type.toBe<Operation<User.User, OAuth.LogInError>>()
    expect(OAuth.link(user, redirected)).type.toBe<Operation<void, OAuth.LinkError>>()
    expect(user.pipe(OAuth.link(redirected))).type.toBe<Operation<void, OAuth.LinkError>>()
  })
})
