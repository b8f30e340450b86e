/**
 * A fresh server for one test, in its process, on its clock. Requests go straight from the `HttpClient` into the routes of
 * the server, with no socket between them, and both ends read the same `Clock`: under a `TestClock` sixty days pass in a
 * millisecond, for tokens, sessions and timeouts alike.
 *
 * The server hashes, signs and runs functions in real threads, which no clock drives. Wait for what is under way before
 * the clock is moved, or it will find that much time has passed; {@link whileTimePasses} does so by itself.
 */
import * as App from "@effect-realm/client/App"
import * as Credentials from "@effect-realm/client/Credentials"
import * as TokenStore from "@effect-realm/client/TokenStore"
import type { User } from "@effect-realm/client/User"
import type * as RealmError from "@effect-realm/protocol/RealmError"
import type { AppDefinition } from "@effect-realm/server/AppDefinition"
import { Authentication } from "@effect-realm/server/Authentication"
import * as Database from "@effect-realm/server/Database"
import type { DatabaseError } from "@effect-realm/server/DatabaseError"
import { EmailAccounts, type LinkToken } from "@effect-realm/server/EmailAccounts"
import * as Mail from "@effect-realm/server/Mail"
import * as Push from "@effect-realm/server/Push"
import * as RealmServer from "@effect-realm/server/RealmServer"
import { Sessions } from "@effect-realm/server/Sessions"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import * as Requests from "./Requests.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/**
 * How the server of a test is made: what `RealmServer.layer` takes. Unless told otherwise passwords are hashed with the
 * least work, and one worker runs the functions.
 */
export type Options<E = never, R = never> = RealmServer.Options<E, R>

/** Somebody who can log in with email and password. */
export interface EmailUser {
  readonly email: string
  readonly credentials: Credentials.EmailPassword
}

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/** The app of the test, and what its administrator can do. */
export class RealmTest extends Context.Service<RealmTest, {
  /** The app, for the client's operations. */
  readonly app: App.App
  /**
   * Registers an email address and makes sure of its confirmation: with automatic confirmation, by the link of the mail, or
   * by a confirmation function that answers `success`. Without options the address and the password are made up, another
   * one each time.
   */
  readonly register: (options?: {
    readonly email?: string
    readonly password?: string
  }) => Effect.Effect<EmailUser, RegisterError>
  /** The mails the server has sent, the oldest first. None leaves the process. */
  readonly outbox: Effect.Effect<ReadonlyArray<Mail.SentMessage>>
  /**
   * The link in the last mail to an address, as `EmailPassword.confirmUser` and `EmailPassword.resetPassword` take it. Dies
   * when there is no such mail.
   */
  readonly linkTo: (email: string) => Effect.Effect<LinkToken>
  /** From now on mails fail with this reason; with `undefined` they are sent again. */
  readonly refuseMails: (reason: Mail.MailErrorReason | undefined) => Effect.Effect<void>
  /** The push messages the server has sent, the oldest first, each to one device. None leaves the process. */
  readonly pushes: Effect.Effect<ReadonlyArray<Push.Delivery>>
  /** The devices that the user has registered for push messages of a service. */
  readonly pushRegistrations: (
    user: User,
    service: string
  ) => Effect.Effect<ReadonlyArray<Push.Registration>, RealmError.ServiceError | DatabaseError>
  /** Waits until the server has no request under way. */
  readonly idle: Effect.Effect<void>
  /** Refuses the user from the next request on, and ends all their sessions; `false` when there is no such user. */
  readonly disableUser: (user: User) => Effect.Effect<boolean, DatabaseError>
  /** Lets a disabled user log in again; `false` when there is no such user. */
  readonly enableUser: (user: User) => Effect.Effect<boolean, DatabaseError>
  /** Ends all sessions of the user on the server, and answers how many there were. */
  readonly endSessions: (user: User) => Effect.Effect<number, DatabaseError>
  /** How many sessions of the user stand on the server. */
  readonly countSessions: (user: User) => Effect.Effect<number, DatabaseError>
  /**
   * Puts a document where the app keeps the custom data of the user, in place of the one that is there. Dies when the app
   * has no custom user data.
   */
  readonly setCustomData: (
    user: User,
    document: { readonly [field: string]: unknown }
  ) => Effect.Effect<void, DatabaseError>
}>()("@effect-realm/testing/RealmTest") {}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/** What making a user can fail with on the server's side. */
export type RegisterError =
  | DatabaseError
  | RealmError.AuthError
  | RealmError.RequestError
  | RealmError.UnknownServiceError

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const baseUrl = "http://realm.test"

/** How many requests the server has under way. */
class UnderWay extends Context.Service<UnderWay, { count: number }>()("@effect-realm/testing/RealmTest/UnderWay") {}

const make = (definition: AppDefinition) =>
  Effect.gen(function*() {
    const underWay = yield* UnderWay
    const authentication = yield* Authentication
    const accounts = yield* EmailAccounts
    const sessions = yield* Sessions
    const database = yield* Database.Database
    const outbox = yield* Mail.Outbox
    const push = yield* Push.Push
    const pushOutbox = yield* Push.Outbox
    let registered = 0

    const linkTo = (email: string): Effect.Effect<LinkToken> =>
      Effect.flatMap(outbox.sent, (mails) => {
        const text = mails.findLast(({ to }) => to === email)?.text ?? ""
        const token = /[?&]token=([0-9a-f]+)/.exec(text)?.[1]
        const tokenId = /[?&]tokenId=([0-9a-f]+)/.exec(text)?.[1]
        return token === undefined || tokenId === undefined
          ? Effect.die(new Error(`There is no mail with a link to ${email}.`))
          : Effect.succeed({ token: Redacted.make(token), tokenId })
      })

    const register: RealmTest["Service"]["register"] = Effect.fnUntraced(function*(options = {}) {
      const number = ++registered
      const email = options.email ?? `user-${number}@realm.test`
      const password = Redacted.make(options.password ?? `password of ${number}`)
      const before = (yield* outbox.sent).length
      yield* accounts.register({ email, password })
      const mails = (yield* outbox.sent).slice(before)
      if (mails.some(({ to }) => to === email)) yield* accounts.confirm(yield* linkTo(email))
      // Says whether the address is confirmed, in the words that a log-in would get.
      yield* accounts.logIn({ email, password })
      return { email, credentials: Credentials.emailPassword({ email, password }) }
    })

    const setCustomData: RealmTest["Service"]["setCustomData"] = Effect.fnUntraced(function*(user, document) {
      const settings = definition.customUserData
      if (settings === undefined || !settings.enabled) {
        return yield* Effect.die(new Error("The app has no custom user data: give its definition `customUserData`."))
      }
      const { collectionName, databaseName, userIdField } = settings
      const documents = database.collection({ database: databaseName, collection: collectionName })
      yield* documents.replaceOne({ [userIdField]: user.id }, { ...document, [userIdField]: user.id }, { upsert: true })
    })

    return RealmTest.of({
      app: App.make({ id: definition.appId, baseUrl }),
      register,
      outbox: outbox.sent,
      linkTo,
      refuseMails: outbox.refuseWith,
      pushes: pushOutbox.delivered,
      pushRegistrations: (user, service) => push.registrations({ service, userId: user.id }),
      idle: Effect.repeat(turn, { while: () => underWay.count > 0 }),
      disableUser: (user) => authentication.disableUser(user.id),
      enableUser: (user) => authentication.enableUser(user.id),
      endSessions: (user) => sessions.endAll(user.id),
      countSessions: (user) => Effect.map(sessions.list(user.id), (found) => found.length),
      setCustomData
    })
  })

// -----------------------------------------------------------------------------
// Time
// -----------------------------------------------------------------------------

// A turn of the event loop, in which real threads can answer.
const turn: Effect.Effect<void> = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))

/**
 * Runs an effect to its end while time passes on the test clock, step by step, each when the server has no request under
 * way. For programs that meet delays and stalls, retry on a schedule or time out; others need no time to pass.
 *
 * @param options.step how much passes at a time; one second by default
 * @param options.limit how much passes at most; ten minutes by default. Then the effect is waited for without
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { Faults, RealmTest } from "@effect-realm/testing"
 * import { Clock, Effect } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const test = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const slow = Faults.inject(Faults.at({}, Faults.delay("5 seconds")))
 *   yield* RealmTest.whileTimePasses(slow(App.location(app)))
 *   return yield* Clock.currentTimeMillis
 * })
 *
 * await test.pipe(
 *   Effect.provide(RealmTest.layer({ app: AppDefinition.make({ appId: "shop-abcde" }) })),
 *   Effect.provide(TestClock.layer()),
 *   Effect.runPromise
 * ) // => 5000
 * ```
 */
export const whileTimePasses = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options?: { readonly step?: Duration.Input; readonly limit?: Duration.Input }
): Effect.Effect<A, E, R | RealmTest> =>
  Effect.gen(function*() {
    const { idle } = yield* RealmTest
    const step = Duration.toMillis(options?.step ?? "1 second")
    const limit = Duration.toMillis(options?.limit ?? "10 minutes")
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let passed = 0; passed < limit; passed += step) {
      yield* idle
      if (fiber.pollUnsafe() !== undefined) break
      yield* TestClock.adjust(step)
    }
    return yield* Fiber.join(fiber)
  })

// -----------------------------------------------------------------------------
// Users
// -----------------------------------------------------------------------------

/** A new anonymous user, logged in and current. */
export const anonymousUser: Effect.Effect<
  User,
  App.LogInError,
  RealmTest | HttpClient.HttpClient | TokenStore.TokenStore
> = Effect.flatMap(RealmTest, ({ app }) => App.logIn(app, Credentials.anonymous({ reuse: false })))

/**
 * A new user with email and password, registered, confirmed, logged in and current.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { emailPassword: { autoConfirm: true } } })
 *
 * const test = Effect.gen(function*() {
 *   const user = yield* RealmTest.emailUser({ email: "zoe@example.com" })
 *   return (yield* User.profile(user)).data["email"]
 * })
 * await Effect.runPromise(Effect.provide(test, RealmTest.layer({ app }))) // => "zoe@example.com"
 * ```
 */
export const emailUser = (options?: {
  readonly email?: string
  readonly password?: string
}): Effect.Effect<
  User,
  App.LogInError | RegisterError,
  RealmTest | HttpClient.HttpClient | TokenStore.TokenStore
> =>
  Effect.gen(function*() {
    const { app, register } = yield* RealmTest
    const { credentials } = yield* register(options)
    return yield* App.logIn(app, credentials)
  })

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

const client: Layer.Layer<HttpClient.HttpClient, never, HttpRouter.HttpRouter | UnderWay> = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function*() {
    const app = (yield* HttpRouter.HttpRouter).asHttpEffect()
    const underWay = yield* UnderWay
    return HttpClient.make((request) =>
      Effect.suspend(() => {
        underWay.count++
        let sent: HttpServerResponse.HttpServerResponse | undefined
        return HttpEffect.toHandled(app, (_, response) =>
          Effect.sync(() => {
            sent = HttpEffect.scopeTransferToStream(response)
          })).pipe(
            Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromClientRequest(request)),
            // A failure that was answered is reported once more after the answer was sent.
            Effect.catchCause((cause) => sent === undefined ? Effect.failCause(cause) : Effect.void),
            // By now an answer was sent, or the cause was passed on.
            Effect.map(() => HttpServerResponse.toClientResponse(sent!, { request })),
            Effect.ensuring(Effect.sync(() => {
              underWay.count--
            }))
          )
      })
    )
  })
)

/**
 * Everything that a test of a program needs: an `HttpClient` that leads to a fresh server with an empty database, an
 * empty `TokenStore`, the log of the {@link Requests.Requests} that reach the server, and the services of the server.
 * Put `Faults.layer` on top, or `Faults.inject` around a part of the test, for what goes wrong in between.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest, Requests } from "@effect-realm/testing"
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   functions: [{ name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" }]
 * })
 *
 * const test = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   yield* TestClock.adjust("31 minutes")
 *   const sum = yield* User.callFunction(user, "sum", [1, 2])
 *   const requests = yield* Requests.Requests
 *   return [sum, yield* requests.count({ endpoint: "refreshSession" })]
 * })
 *
 * await test.pipe(
 *   Effect.provide(RealmTest.layer({ app })),
 *   Effect.provide(TestClock.layer()),
 *   Effect.runPromise
 * ) // => [3, 1]
 * ```
 */
export const layer = <E = never, R = never>(
  options: Options<E, R>
): Layer.Layer<
  | RealmTest
  | Requests.Requests
  | HttpClient.HttpClient
  | TokenStore.TokenStore
  | Database.Database
  | Mail.Outbox
  | Push.Outbox
  | RealmServer.Services,
  DatabaseError | E,
  Exclude<Exclude<R, RealmServer.GroupServices>, Database.Database>
> =>
  // Fresh as a whole: two servers in one test share nothing, not even the layers that are constants.
  Layer.fresh(
    Layer.mergeAll(
      Layer.provide(Requests.layer, client),
      Layer.effect(RealmTest, make(options.app)),
      TokenStore.layerMemory
    ).pipe(
      Layer.provide(Layer.sync(UnderWay, () => ({ count: 0 }))),
      Layer.provideMerge(RealmServer.layer({ passwords: { cost: 4 }, functions: { workers: 1 }, ...options })),
      Layer.provide(HttpRouter.layer),
      Layer.provideMerge(Database.layerMemory),
      Layer.provideMerge(Mail.layerMemory),
      Layer.provideMerge(Push.layerMemory)
    )
  )
