import {
  App,
  type ClientError,
  Credentials,
  type Session,
  type TokenStore,
  User,
  type UserEvent
} from "@effect-realm/client"
import type { Ejson, RealmError } from "@effect-realm/protocol"
import { Effect, type Option, pipe, type Redacted, Schema, type Stream } from "effect"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" })
const Preferences = Schema.Struct({ color: Schema.String })
interface Preferences {
  readonly color: string
}

type Client = HttpClient.HttpClient | TokenStore.TokenStore
type Operation<A, E> = Effect.Effect<A, E, Client>
type Read<A, E> = Effect.Effect<A, E, TokenStore.TokenStore>

describe("a User", () => {
  test("is readonly", () => {
    expect(user).type.toBeAssignableTo<{ readonly appId: string; readonly baseUrl: string; readonly id: string }>()
    expect<Pick<User.User, "appId" | "baseUrl" | "id">>().type.toBe<
      { readonly appId: string; readonly baseUrl: string; readonly id: string }
    >()
  })

  test("is pipeable", () => {
    expect(user.pipe((user) => user.id)).type.toBe<string>()
  })
})

describe("operations need exactly HttpClient and TokenStore, data-first and data-last", () => {
  test("refresh", () => {
    expect(User.refresh(user)).type.toBe<Operation<void, User.RefreshError>>()
    expect(pipe(user, User.refresh)).type.toBe<Operation<void, User.RefreshError>>()
  })

  test("accessToken", () => {
    type Token = Operation<Redacted.Redacted, User.AccessTokenError>
    expect(User.accessToken(user)).type.toBe<Token>()
    expect(User.accessToken(user, { margin: "1 minute" })).type.toBe<Token>()
    expect(user.pipe(User.accessToken({ margin: "1 minute" }))).type.toBe<Token>()
    expect(user.pipe(User.accessToken)).type.toBe<Token>()
    expect(User.accessToken).type.not.toBeCallableWith(user, { margin: "a while" })
  })

  test("callFunction", () => {
    type Call<A> = Operation<A, User.CallFunctionError>
    expect(User.callFunction(user, "sum")).type.toBe<Call<unknown>>()
    expect(User.callFunction(user, "sum", [1, 2])).type.toBe<Call<unknown>>()
    expect(user.pipe(User.callFunction("sum"))).type.toBe<Call<unknown>>()
    expect(user.pipe(User.callFunction("sum", [1, 2]))).type.toBe<Call<unknown>>()
    expect(User.callFunction).type.not.toBeCallableWith(user)
    expect(User.callFunction).type.not.toBeCallableWith(user, 7)
    expect(User.callFunction).type.not.toBeCallableWith(user, "sum", 1, 2)
  })

  test("callFunction with a schema", () => {
    type Call = Operation<number, User.CallFunctionError | ClientError.SchemaMismatchError>
    expect(User.callFunction(user, "sum", [1, 2], Schema.Int)).type.toBe<Call>()
    expect(user.pipe(User.callFunction("sum", [1, 2], Schema.Int))).type.toBe<Call>()
  })

  test("linkCredentials", () => {
    const credentials = Credentials.emailPassword({ email: "a", password: "b" })
    expect(User.linkCredentials(user, credentials)).type.toBe<Operation<void, User.LinkCredentialsError>>()
    expect(user.pipe(User.linkCredentials(credentials))).type.toBe<Operation<void, User.LinkCredentialsError>>()
    expect(User.linkCredentials).type.toBeCallableWith(user, Credentials.function({}))
  })

  test("linkCredentials refuses anonymous credentials", () => {
    expect(User.linkCredentials).type.not.toBeCallableWith(user, Credentials.anonymous())
    expect(User.linkCredentials).type.not.toBeCallableWith(Credentials.anonymous())
    expect<Credentials.Credentials>().type.not.toBeAssignableTo<Credentials.Linkable>()
  })

  test("logOut", () => {
    expect(User.logOut(user)).type.toBe<Operation<void, User.LogOutError>>()
    expect(pipe(user, User.logOut)).type.toBe<Operation<void, User.LogOutError>>()
  })

  test("refreshCustomData", () => {
    type Typed = Operation<Preferences, User.RefreshCustomDataError | ClientError.SchemaMismatchError>
    expect(User.refreshCustomData(user)).type.toBe<Operation<Ejson.Document, User.RefreshCustomDataError>>()
    expect(user.pipe(User.refreshCustomData)).type.toBe<Operation<Ejson.Document, User.RefreshCustomDataError>>()
    expect(User.refreshCustomData(user, Preferences)).type.toBeAssignableTo<Typed>()
    expect(user.pipe(User.refreshCustomData(Preferences))).type.toBeAssignableTo<Typed>()
    expect(Effect.map(User.refreshCustomData(user, Preferences), (data) => data.color)).type.toBe<
      Operation<string, User.RefreshCustomDataError | ClientError.SchemaMismatchError>
    >()
  })

  test("refreshProfile", () => {
    expect(User.refreshProfile(user)).type.toBe<Operation<User.Profile, User.RefreshProfileError>>()
  })
})

describe("what is known here needs only TokenStore", () => {
  test("state, isLoggedIn, providerType, identities, profile, deviceId, refreshToken", () => {
    expect(User.state(user)).type.toBe<Read<User.State, ClientError.TokenStoreError>>()
    expect(User.isLoggedIn(user)).type.toBe<Read<boolean, ClientError.TokenStoreError>>()
    expect(User.providerType(user)).type.toBe<Read<string, User.ReadError>>()
    expect(User.identities(user)).type.toBe<Read<ReadonlyArray<Session.Identity>, User.ReadError>>()
    expect(User.profile(user)).type.toBe<Read<User.Profile, User.ProfileError>>()
    expect(User.deviceId(user)).type.toBe<Read<Option.Option<string>, User.ReadError>>()
    expect(User.refreshToken(user)).type.toBe<Read<Redacted.Redacted, User.ReadError>>()
  })

  test("customData", () => {
    type Typed = Read<string, User.CustomDataError | ClientError.SchemaMismatchError>
    expect(User.customData(user)).type.toBe<Read<Ejson.Document, User.CustomDataError>>()
    expect(user.pipe(User.customData)).type.toBe<Read<Ejson.Document, User.CustomDataError>>()
    expect(Effect.map(User.customData(user, Preferences), (data) => data.color)).type.toBe<Typed>()
    expect(Effect.map(user.pipe(User.customData(Preferences)), (data) => data.color)).type.toBe<Typed>()
  })

  test("events", () => {
    expect(User.events(user)).type.toBe<
      Stream.Stream<
        UserEvent.UserEvent | UserEvent.Snapshot<User.UserState>,
        ClientError.TokenStoreError,
        TokenStore.TokenStore
      >
    >()
  })
})

describe("errors", () => {
  type Exchange =
    | ClientError.TransportError
    | ClientError.InvalidResponseError
    | RealmError.RequestError
    | RealmError.AppError
    | RealmError.UnknownServiceError
    | RealmError.SessionError
    | ClientError.NotLoggedInError
    | ClientError.TokenStoreError

  test("are the ones that can happen, by name", () => {
    expect<User.RefreshError>().type.toBe<Exchange>()
    expect<User.AccessTokenError>().type.toBe<Exchange>()
    expect<User.CallFunctionError>().type.toBe<Exchange | RealmError.FunctionError | Ejson.EjsonError>()
    expect<User.LinkCredentialsError>().type.toBe<Exchange | RealmError.AuthError | RealmError.FunctionError>()
    expect<User.LogOutError>().type.toBe<
      Exclude<Exchange, RealmError.SessionError | ClientError.NotLoggedInError>
    >()
    expect<User.RefreshProfileError>().type.toBe<Exchange | Ejson.EjsonError>()
    expect<User.RefreshCustomDataError>().type.toBe<Exchange | Ejson.EjsonError>()
    expect<User.ReadError>().type.toBe<ClientError.NotLoggedInError | ClientError.TokenStoreError>()
    expect<User.CustomDataError>().type.toBe<User.ReadError | Ejson.EjsonError>()
    expect<User.ProfileError>().type.toBe<User.ReadError | Ejson.EjsonError>()
  })

  const give = () => Effect.succeed("handled")

  test("that are all caught leave never", () => {
    const handled = Effect.catchTags(User.callFunction(user, "sum"), {
      TransportError: give,
      InvalidResponseError: give,
      RequestError: give,
      AppError: give,
      UnknownServiceError: give,
      SessionError: give,
      NotLoggedInError: give,
      TokenStoreError: give,
      FunctionError: give,
      EjsonError: give
    })
    expect<Effect.Error<typeof handled>>().type.toBe<never>()
  })

  test("that are not caught stay", () => {
    const handled = User.callFunction(user, "sum").pipe(
      Effect.catchTag(["TransportError", "InvalidResponseError"], give)
    )
    expect<Effect.Error<typeof handled>>().type.toBe<
      Exclude<User.CallFunctionError, ClientError.TransportError | ClientError.InvalidResponseError>
    >()
  })

  test("that do not happen cannot be caught", () => {
    expect(Effect.catchTag).type.not.toBeCallableWith(User.logOut(user), "FunctionError", give)
    expect(Effect.catchTag).type.toBeCallableWith(User.logOut(user), "TransportError", give)
  })

  test("can be told apart by reason, and all reasons of a family are handled exhaustively", () => {
    const functionError = User.callFunction(user, "sum").pipe(
      Effect.catchReason("FunctionError", "FunctionNotFound", (reason) => Effect.succeed(reason.message))
    )
    expect<Effect.Success<typeof functionError>>().type.toBe<unknown>()
    const split = User.callFunction(user, "sum").pipe(
      Effect.catchIf((error) => error._tag !== "SessionError", give),
      Effect.unwrapReason("SessionError"),
      Effect.catchTags({
        InvalidSession: give,
        MissingAuthReq: give,
        InvalidAuthReq: give,
        UserAppDomainMismatch: give,
        UserDisabled: give,
        Unauthorized: give
      })
    )
    expect<Effect.Error<typeof split>>().type.toBe<never>()
  })
})

describe("the errors of an app's operations", () => {
  test("contain those of a user's where they do the same", () => {
    const app = App.make({ id: "a", baseUrl: "http://localhost" })
    expect(Effect.flatMap(App.logIn(app, Credentials.anonymous()), User.refresh)).type.toBe<
      Operation<void, App.LogInError | User.RefreshError>
    >()
  })
})
