import {
  App,
  type ClientError,
  Credentials,
  EmailPassword,
  TokenStore,
  User,
  type UserEvent
} from "@effect-realm/client"
import type { Ejson, RealmError } from "@effect-realm/protocol"
import { type Context, Effect, type Layer, type Option, Redacted, type Stream } from "effect"
import type { HttpClient } from "effect/http"
import type { KeyValueStore } from "effect/persistence"
import { describe, expect, test } from "tstyche"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" })
const credentials = Credentials.emailPassword({ email: "a", password: "b" })

type Operation<A, E> = Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>

describe("an App", () => {
  test("is readonly and pipeable", () => {
    expect<Pick<App.App, "id" | "baseUrl">>().type.toBe<{ readonly id: string; readonly baseUrl: string }>()
    expect(app.pipe((app) => app.id)).type.toBe<string>()
  })

  test("is made from an id and a base URL", () => {
    expect(App.make).type.not.toBeCallableWith({ id: "a" })
    expect(App.make).type.not.toBeCallableWith({ id: "a", baseUrl: 7 })
  })
})

describe("operations, data-first and data-last", () => {
  test("logIn", () => {
    expect(App.logIn(app, credentials)).type.toBe<Operation<User.User, App.LogInError>>()
    expect(app.pipe(App.logIn(credentials))).type.toBe<Operation<User.User, App.LogInError>>()
    expect(App.logIn(app, Credentials.anonymous())).type.toBe<Operation<User.User, App.LogInError>>()
  })

  test("currentUser and allUsers", () => {
    expect(App.currentUser(app)).type.toBe<
      Effect.Effect<Option.Option<User.User>, ClientError.TokenStoreError, TokenStore.TokenStore>
    >()
    expect(App.allUsers(app)).type.toBe<
      Effect.Effect<Array<User.User>, ClientError.TokenStoreError, TokenStore.TokenStore>
    >()
  })

  test("switchUser", () => {
    type Switch = Effect.Effect<void, App.SwitchUserError, TokenStore.TokenStore>
    expect(App.switchUser(app, user)).type.toBe<Switch>()
    expect(app.pipe(App.switchUser(user))).type.toBe<Switch>()
  })

  test("removeUser", () => {
    expect(App.removeUser(app, user)).type.toBe<Operation<void, App.RemoveUserError>>()
    expect(app.pipe(App.removeUser(user))).type.toBe<Operation<void, App.RemoveUserError>>()
  })

  test("deleteUser", () => {
    expect(App.deleteUser(app, user)).type.toBe<Operation<void, App.DeleteUserError>>()
    expect(app.pipe(App.deleteUser(user))).type.toBe<Operation<void, App.DeleteUserError>>()
  })

  test("location", () => {
    expect(App.location(app)).type.toBe<Effect.Effect<App.Location, App.LocationError, HttpClient.HttpClient>>()
  })

  test("events", () => {
    expect(App.events(app)).type.toBe<
      Stream.Stream<
        UserEvent.UserEvent | UserEvent.Snapshot<App.AppState>,
        ClientError.TokenStoreError,
        TokenStore.TokenStore
      >
    >()
  })

  test("trace propagation is a reference with a default, so it is in no requirement", () => {
    expect(App.TracePropagation).type.toBe<Context.Reference<boolean>>()
    expect(Effect.provideService(App.logIn(app, credentials), App.TracePropagation, true)).type.toBe<
      Operation<User.User, App.LogInError>
    >()
  })
})

describe("errors", () => {
  type Server =
    | ClientError.TransportError
    | ClientError.InvalidResponseError
    | RealmError.RequestError
    | RealmError.AppError
    | RealmError.UnknownServiceError

  test("are the ones that can happen, by name", () => {
    expect<App.LogInError>().type.toBe<
      | Server
      | RealmError.AuthError
      | RealmError.SessionError
      | RealmError.FunctionError
      | ClientError.NotLoggedInError
      | ClientError.TokenStoreError
    >()
    expect<App.SwitchUserError>().type.toBe<ClientError.NotLoggedInError | ClientError.TokenStoreError>()
    expect<App.RemoveUserError>().type.toBe<Server | ClientError.TokenStoreError>()
    expect<App.DeleteUserError>().type.toBe<
      Server | RealmError.SessionError | ClientError.NotLoggedInError | ClientError.TokenStoreError
    >()
    expect<App.LocationError>().type.toBe<Server>()
    expect<EmailPassword.EmailPasswordError>().type.toBe<Server | RealmError.AuthError | RealmError.FunctionError>()
    expect<EmailPassword.CallResetPasswordFunctionError>().type.toBe<
      EmailPassword.EmailPasswordError | Ejson.EjsonError
    >()
  })

  test("that are all caught leave never", () => {
    const give = () => Effect.succeed("handled")
    const handled = App.logIn(app, credentials).pipe(Effect.catchTags({
      TransportError: give,
      InvalidResponseError: give,
      RequestError: give,
      AppError: give,
      UnknownServiceError: give,
      AuthError: give,
      SessionError: give,
      FunctionError: give,
      NotLoggedInError: give,
      TokenStoreError: give
    }))
    expect<Effect.Error<typeof handled>>().type.toBe<never>()
  })

  test("have reasons of their own", () => {
    expect<Extract<ClientError.TransportError["reason"], { _tag: string }>["_tag"]>().type.toBe<
      "Unreachable" | "TimedOut" | "CircuitOpen" | "RateLimited"
    >()
    expect<ClientError.TokenStoreError["reason"]["_tag"]>().type.toBe<
      | "Damaged"
      | "NewerVersion"
      | "KeyMissing"
      | "Misconfigured"
      | "Unavailable"
      | "TooLarge"
      | "LeaseLost"
    >()
  })
})

describe("EmailPassword needs only HttpClient, data-first and data-last", () => {
  type Public<E> = Effect.Effect<void, E, HttpClient.HttpClient>
  type Usual = Public<EmailPassword.EmailPasswordError>

  test("every operation", () => {
    const account = { email: "a", password: Redacted.make("b") }
    const link = { token: "t", tokenId: "i" }
    expect(EmailPassword.registerUser(app, account)).type.toBe<Usual>()
    expect(app.pipe(EmailPassword.registerUser(account))).type.toBe<Usual>()
    expect(EmailPassword.confirmUser(app, link)).type.toBe<Usual>()
    expect(app.pipe(EmailPassword.confirmUser(link))).type.toBe<Usual>()
    expect(EmailPassword.resendConfirmationEmail(app, account)).type.toBe<Usual>()
    expect(app.pipe(EmailPassword.resendConfirmationEmail(account))).type.toBe<Usual>()
    expect(EmailPassword.retryCustomConfirmation(app, account)).type.toBe<Usual>()
    expect(app.pipe(EmailPassword.retryCustomConfirmation(account))).type.toBe<Usual>()
    expect(EmailPassword.sendResetPasswordEmail(app, account)).type.toBe<Usual>()
    expect(app.pipe(EmailPassword.sendResetPasswordEmail(account))).type.toBe<Usual>()
    expect(EmailPassword.resetPassword(app, { ...link, password: "b" })).type.toBe<Usual>()
    expect(app.pipe(EmailPassword.resetPassword({ ...link, password: "b" }))).type.toBe<Usual>()
    type Call = Public<EmailPassword.CallResetPasswordFunctionError>
    expect(EmailPassword.callResetPasswordFunction(app, account)).type.toBe<Call>()
    expect(app.pipe(EmailPassword.callResetPasswordFunction({ ...account, args: [1] }))).type.toBe<Call>()
  })
})

describe("the layers of TokenStore", () => {
  test("need what they store in, and nothing else", () => {
    expect(TokenStore.layerMemory).type.toBe<Layer.Layer<TokenStore.TokenStore>>()
    expect(TokenStore.layerKeyValueStore).type.toBe<
      Layer.Layer<TokenStore.TokenStore, never, KeyValueStore.KeyValueStore>
    >()
  })
})
