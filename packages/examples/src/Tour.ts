/**
 * A user's life, step by step: a real client talks to the embedded server over a real socket.
 */
import { App, Credentials, EmailPassword, Push, TokenStore, User, type UserEvent } from "@effect-realm/client"
import { Endpoint } from "@effect-realm/protocol"
import { Mail } from "@effect-realm/server"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Long } from "bson"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import type * as PlatformError from "effect/PlatformError"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { styleText } from "node:util"
import { Tables } from "./contracts.ts"
import * as MailShop from "./MailShop.ts"
import * as Shop from "./Shop.ts"
import * as Step from "./Step.ts"
import * as TourDocuments from "./TourDocuments.ts"
import * as TourPages from "./TourPages.ts"
import * as TourPrograms from "./TourPrograms.ts"

// -----------------------------------------------------------------------------
// The stage
// -----------------------------------------------------------------------------

/** What can end the tour early. */
export type TourError = Shop.OpenError | Step.StepFailed | PlatformError.PlatformError

/** A clock that can be set forward, for the client and the server alike: tokens really expire, and nobody has to wait. */
const adjustable = (clock: Clock.Clock) => {
  let ahead = 0
  const currentTimeMillisUnsafe = () => clock.currentTimeMillisUnsafe() + ahead
  const currentTimeNanosUnsafe = () => clock.currentTimeNanosUnsafe() + BigInt(ahead) * 1_000_000n
  const shifted: Clock.Clock = {
    currentTimeMillisUnsafe,
    currentTimeMillis: Effect.sync(currentTimeMillisUnsafe),
    currentTimeNanosUnsafe,
    currentTimeNanos: Effect.sync(currentTimeNanosUnsafe),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
  return { clock: shifted, setForward: (by: Duration.Input) => Effect.sync(() => ahead += Duration.toMillis(by)) }
}

/** The shop as a server that can be stopped and started again, on the same port and the same database file. */
const makeServer = Effect.fnUntraced(function*(options: Shop.Options) {
  const outer = yield* Effect.scope
  const open = Effect.fnUntraced(function*(options: Shop.Options) {
    const scope = yield* Scope.fork(outer)
    const shop = Context.get(yield* Layer.buildWithScope(Shop.layer(options), scope), Shop.Shop)
    return { shop, stop: Scope.close(scope, Exit.void) }
  })
  const running = yield* Ref.make(yield* open(options))
  return {
    shop: Effect.map(Ref.get(running), ({ shop }) => shop),
    restart: Effect.gen(function*() {
      const { shop, stop } = yield* Ref.get(running)
      yield* stop
      yield* Ref.set(running, yield* open({ ...options, port: shop.port }))
    })
  }
})

/** A client as a new process would make it: its sessions are in the files that the one before has left. */
const client = (directory: string) => {
  const counted = Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function*() {
      const { requests } = yield* Step.Progress
      return HttpClient.tapRequest(yield* HttpClient.HttpClient, () => Ref.update(requests, (count) => count + 1))
    })
  ).pipe(Layer.provide(NodeHttpClient.layerUndici))
  const store = TokenStore.layerKeyValueStore.pipe(
    Layer.provide(KeyValueStore.layerFileSystem(directory)),
    Layer.provide(NodeServices.layer),
    Layer.orDie
  )
  return Layer.merge(counted, store)
}

/** Prints what the client hears while an effect runs. */
const listening = <A, E, R>(app: App.App, use: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    yield* App.events(app).pipe(
      Stream.filter((event): event is UserEvent.UserEvent => event._tag !== "Snapshot"),
      Stream.runForEach(Step.hear),
      Effect.forkScoped({ startImmediately: true })
    )
    return yield* use
  }))

// -----------------------------------------------------------------------------
// The steps
// -----------------------------------------------------------------------------

const email = "ada@shop.example"
const password = Redacted.make("a long enough secret of Ada's")
const emailPassword = Credentials.emailPassword({ email, password })

/** What the shop keeps of a user's wishes. */
const Preferences = Schema.Struct({ favourite: Schema.String, cups: Schema.Int })

const WhoAmI = Schema.Struct({ id: Schema.String, providers: Schema.Array(Schema.String) })

/** What the supplier has. */
const Stock = Schema.Struct({ item: Schema.String, left: Schema.Int })

const value = (value: unknown): string => JSON.stringify(value)

/** A refusal of the server by its tag and reason, in the server's words; any other error by its message. */
const refusal = (error: App.LogInError | User.CallFunctionError): string =>
  error._tag === "FunctionError" || error._tag === "AuthError"
    ? `${error._tag}, reason ${error.reason._tag}: ${error.reason.message}`
    : `${error._tag}: ${error.message}`

const providers = (user: User.User) =>
  Effect.map(User.identities(user), (identities) => identities.map((identity) => identity.providerType).join(", "))

const isExchange = (request: HttpClientRequest.HttpClientRequest): boolean =>
  request.method === Endpoint.refreshSession.method && request.url.endsWith(Endpoint.refreshSession.path)

/** How many requests an effect sends, and how many of them exchange a token. */
const counting = <A, E, R>(use: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    let requests = 0
    let exchanges = 0
    const answer = yield* Effect.updateService(use, HttpClient.HttpClient, (client) =>
      HttpClient.tapRequest(client, (request) =>
        Effect.sync(() => {
          requests++
          if (isExchange(request)) {
            exchanges++
          }
        })))
    return { answer, requests, exchanges }
  })

const callers = 1000

const firstLife = Effect.fnUntraced(function*(
  server: Effect.Success<ReturnType<typeof makeServer>>,
  setForward: (by: Duration.Input) => Effect.Effect<unknown>
) {
  const { app, database, staffToken } = yield* server.shop

  const user = yield* Step.run({
    title: "Log in without an account",
    asked: "App.logIn(app, Credentials.anonymous())",
    does: App.logIn(app, Credentials.anonymous()),
    shows: (user) => `User ${user.id}`,
    events: ["LoggedIn"]
  })

  yield* Step.run({
    title: "Call a function, with int64 arguments",
    asked: `User.callFunction(user, "sum", [Long 9007199254740990, Long 1])`,
    does: User.callFunction(user, "sum", [Long.fromString("9007199254740990"), Long.ONE]).pipe(
      Effect.tap((sum) => Step.check(sum === 9007199254740991, `the sum is ${value(sum)}`))
    ),
    shows: value
  })

  yield* Step.run({
    title: "Call a function whose result has a schema",
    asked: `User.callFunction(user, "whoami", [], WhoAmI)`,
    does: User.callFunction(user, "whoami", [], WhoAmI).pipe(
      Effect.tap((answer) => Step.check(answer.id === user.id, `the server takes us for ${answer.id}`))
    ),
    shows: value
  })

  yield* Step.run({
    title: "Call functions as methods, and one of a service by its name",
    asked: `User.functions(user).greet("Ada")\n` +
      `User.callServiceFunction(user, "mongodb-atlas", "count", [{ database, collection, query: {} }])`,
    does: Effect.gen(function*() {
      const greeting = yield* User.functions(user)["greet"]!("Ada")
      yield* Step.check(String(greeting).includes("Ada"), `the greeting is ${value(greeting)}`)
      const named = { database: "shop", collection: "reviews", query: {} }
      const count = yield* User.callServiceFunction(user, "mongodb-atlas", "count", [named])
      yield* Step.check(count === 0, `there are ${value(count)} reviews`)
      return { greeting, count }
    }),
    shows: ({ count, greeting }) => `${value(greeting)}\n${value(count)}`
  })

  yield* Step.run({
    title: "Call a function that asks another server, with a token that it signs itself",
    asked: `User.callFunction(user, "restock", ["tea"])`,
    does: User.callFunction(user, "restock", ["tea"], Stock).pipe(
      Effect.tap(({ left }) => Step.check(left === 240, `${left} are left`))
    ),
    shows: value
  })

  yield* Step.run({
    title: "Call a function that throws: the error has a type",
    asked: `User.callFunction(user, "fail", ["no tea left"])`,
    does: Effect.flip(User.callFunction(user, "fail", ["no tea left"])).pipe(
      Effect.tap((error) =>
        Step.check(
          error._tag === "FunctionError" && error.reason._tag === "FunctionExecutionError",
          `the error is ${error._tag}: ${error.message}`
        )
      )
    ),
    shows: refusal
  })

  yield* Step.run({
    title: "Call functions by contracts: arguments, results and the function's own errors are typed",
    asked: "User.functions(user, Tables).reserve(2, at)\nUser.functions(user, Tables).reserve(100, at)",
    does: Effect.gen(function*() {
      const at = new Date(yield* Clock.currentTimeMillis)
      const tables = User.functions(user, Tables)
      const reserved = yield* tables.reserve(2, at)
      yield* Step.check(reserved.guest === user.id && reserved.seats === 2, `the table is ${value(reserved)}`)
      const error = yield* Effect.flip(tables.reserve(100, at))
      yield* Step.check(error._tag === "FullyBooked", `the error is ${error._tag}: ${error.message}`)
      return { reserved, error }
    }),
    shows: ({ error, reserved }) => `${value(reserved)}\n${error._tag}: ${error.message}`
  })

  yield* Step.run({
    title: "Read a function that streams, for as long as its values are wanted",
    asked: "User.functions(user, Tables).free().pipe(Stream.take(3))",
    does: User.functions(user, Tables).free().pipe(
      Stream.take(3),
      Stream.runCollect,
      Effect.tap((free) => Step.check(free.join() === "12,11,10", `the values are ${value(free)}`))
    ),
    shows: (free) => `${free.join(", ")} seats are free`
  })

  yield* Step.run({
    title: "One thousand callers find the access token expired: one exchange",
    asked: `31 minutes later, 1,000 times at once: User.callFunction(user, "sum", [1, 2])`,
    does: setForward("31 minutes").pipe(
      Effect.andThen(counting(Effect.forEach(
        Array.from({ length: callers }),
        () => User.callFunction(user, "sum", [1, 2]),
        { concurrency: "unbounded" }
      ))),
      Effect.tap(({ answer, exchanges, requests }) =>
        Step.check(
          answer.every((sum) => sum === 3) && exchanges === 1 && requests === callers + 1,
          `${requests} requests were sent, ${exchanges} of them exchanges`
        )
      )
    ),
    shows: ({ exchanges, requests }) =>
      `1,000 answers of 3, from ${
        (requests - exchanges).toLocaleString("en")
      } calls and ${exchanges} exchange of the token`,
    events: ["AccessTokenRefreshed"]
  })

  yield* Step.run({
    title: "Keep the account: register an email address and link it",
    asked: `EmailPassword.registerUser(app, { email, password })\n` +
      "User.linkCredentials(user, Credentials.emailPassword({ email, password }))",
    does: EmailPassword.registerUser(app, { email, password }).pipe(
      Effect.andThen(User.linkCredentials(user, emailPassword)),
      Effect.andThen(providers(user)),
      Effect.tap((providers) =>
        Step.check(providers === "anon-user, local-userpass", `the identities are ${providers}`)
      )
    ),
    shows: (providers) => `The same user, with the identities ${providers}`,
    events: ["IdentityLinked"]
  })

  yield* Step.run({
    title: "Read custom data with a schema, right after the shop has written it",
    asked: "User.refreshCustomData(user, Preferences)",
    does: database.collection({ database: "shop", collection: "preferences" })
      .insertOne({ userId: user.id, favourite: "green tea", cups: 3 }).pipe(
        Effect.andThen(User.refreshCustomData(user, Preferences)),
        Effect.tap((data) => Step.check(data.cups === 3, `the data is ${value(data)}`))
      ),
    shows: value,
    events: ["CustomDataRefreshed"]
  })

  yield* TourDocuments.steps(app, user)

  yield* TourPrograms.steps(app, user)

  // Who else logs in does so in a store of their own.
  const elsewhere = Layer.fresh(TokenStore.layerMemory)

  yield* Step.run({
    title: "Register this device for push messages, and take that back",
    asked: `Push.register(user, "gcm", Redacted.make("token of this device"))\nPush.deregister(user, "gcm")`,
    does: Push.register(user, "gcm", Redacted.make("token of this device")).pipe(
      Effect.andThen(Push.deregister(user, "gcm"))
    ),
    shows: () => "The device was registered for gcm, and is no more"
  })

  yield* Step.run({
    title: "Log in with a token of the shop's own sign-on, which says who it is for",
    asked: "App.logIn(app, Credentials.jwt(token))",
    does: staffToken({ id: "staff-7", name: "Mary" }).pipe(
      Effect.flatMap((token) => App.logIn(app, Credentials.jwt(token))),
      Effect.flatMap(User.profile),
      Effect.tap(({ data, identities }) =>
        Step.check(
          data["name"] === "Mary" && identities[0]?.id === "staff-7",
          `the server takes the user for ${value(data)}`
        )
      ),
      Effect.provide(elsewhere)
    ),
    shows: ({ data }) => value(data)
  })

  yield* Step.run({
    title: "In a shop that writes mails: register, confirm by the link, and set a new password by another",
    asked: "EmailPassword.registerUser(app, account)\nEmailPassword.confirmUser(app, link)\n" +
      "EmailPassword.sendResetPasswordEmail(app, account)\nEmailPassword.resetPassword(app, { ...link, password })",
    does: Effect.gen(function*() {
      const app = yield* MailShop.app
      const account = { email, password }
      yield* EmailPassword.registerUser(app, account)
      const pending = yield* Effect.flip(App.logIn(app, emailPassword))
      yield* Step.check(pending._tag === "AuthError", `the error is ${pending._tag}: ${pending.message}`)
      yield* EmailPassword.confirmUser(app, yield* MailShop.openLink)
      yield* App.logIn(app, emailPassword)
      yield* EmailPassword.sendResetPasswordEmail(app, account)
      const another = Redacted.make("another secret of Ada's")
      yield* EmailPassword.resetPassword(app, { ...yield* MailShop.openLink, password: another })
      yield* App.logIn(app, Credentials.emailPassword({ email, password: another }))
      const mails = yield* Mail.Outbox.use((outbox) => outbox.sent)
      yield* Step.check(mails.length === 2, `${mails.length} mails were sent`)
      return mails
    }).pipe(Effect.provide([MailShop.layer, elsewhere])),
    shows: (mails) => mails.map(({ subject, to }) => `A mail to ${to}: ${subject}`).join("\n")
  })

  yield* TourPages.steps(app, user)

  const cardHolder = yield* Step.run({
    title: "Log in a second user by the app's own function",
    asked: `App.logIn(app, Credentials.function({ card }))`,
    does: App.logIn(app, Credentials.function({ card: "card-grace" })),
    shows: (user) => `User ${user.id}, who is the current user now`,
    events: ["LoggedIn"]
  })

  yield* Step.run({
    title: "Switch back to the first user",
    asked: "App.switchUser(app, user)",
    does: App.switchUser(app, user).pipe(
      Effect.andThen(App.currentUser(app)),
      Effect.tap((current) => Step.check(current.pipe(Option.exists(({ id }) => id === user.id)), "another is current"))
    ),
    shows: (current) =>
      `The current user is ${Option.match(current, { onNone: () => "nobody", onSome: ({ id }) => id })}`,
    events: ["Switched"]
  })

  yield* Step.run({
    title: "Log in with a wrong password: nothing changes",
    asked: "App.logIn(app, Credentials.emailPassword({ email, password: wrong }))",
    does: Effect.flip(App.logIn(app, Credentials.emailPassword({ email, password: "a guess" }))).pipe(
      Effect.tap((error) =>
        Step.check(
          error._tag === "AuthError" && error.reason._tag === "InvalidPassword",
          `the error is ${error._tag}: ${error.message}`
        )
      )
    ),
    shows: refusal
  })

  yield* Step.run({
    title: "Log out",
    asked: "User.logOut(user)",
    does: User.logOut(user).pipe(
      Effect.andThen(App.currentUser(app)),
      Effect.tap((current) =>
        Step.check(Option.exists(current, ({ id }) => id === cardHolder.id), "the other user is not current")
      )
    ),
    shows: () => "Logged out; the user before is current again",
    events: ["LoggedOut"]
  })

  yield* Step.run({
    title: "Log out again: that is fine",
    asked: "User.logOut(user)",
    does: User.logOut(user),
    shows: () => "Success"
  })

  yield* Step.run({
    title: "Call a function after the log-out: refused, nothing is sent",
    asked: `User.callFunction(user, "whoami")`,
    does: Effect.flip(User.callFunction(user, "whoami")).pipe(
      Effect.tap((error) => Step.check(error._tag === "NotLoggedInError", `the error is ${error._tag}`))
    ),
    shows: (error) => `${error._tag}: ${error.message}`
  })

  yield* Step.run({
    title: "Log in with email and password: the same user as before",
    asked: "App.logIn(app, Credentials.emailPassword({ email, password }))",
    does: App.logIn(app, emailPassword).pipe(
      Effect.tap(({ id }) => Step.check(id === user.id, `the user is ${id}`))
    ),
    shows: ({ id }) => `User ${id}`,
    events: ["LoggedIn"]
  })

  yield* Step.run({
    title: "Restart the server on the same database file: the session goes on",
    asked: `User.callFunction(user, "whoami", [], WhoAmI)`,
    does: server.restart.pipe(
      Effect.andThen(User.callFunction(user, "whoami", [], WhoAmI)),
      Effect.tap((answer) => Step.check(answer.id === user.id, `the server takes us for ${answer.id}`))
    ),
    shows: value
  })
})

const secondLife = Effect.fnUntraced(function*(app: App.App) {
  const users = yield* Step.run({
    title: "Restart the client on the same files: it knows who is logged in",
    asked: "App.currentUser(app), App.allUsers(app)",
    does: Effect.gen(function*() {
      const current = Option.getOrUndefined(yield* App.currentUser(app))
      const users = yield* App.allUsers(app)
      yield* Step.check(current !== undefined && users.length === 2, `${users.length} users are known`)
      return yield* Effect.forEach(
        users,
        (user) => Effect.map(User.state(user), (state) => ({ user, state, isCurrent: user.id === current?.id }))
      )
    }),
    shows: (users) =>
      users.map(({ isCurrent, state, user }) => `User ${user.id}, ${state}${isCurrent ? ", current" : ""}`).join("\n")
  })

  const current = users.find(({ isCurrent }) => isCurrent)!.user

  yield* Step.run({
    title: "Delete the user, on the server and here",
    asked: "App.deleteUser(app, user)",
    does: App.deleteUser(app, current).pipe(
      Effect.andThen(User.state(current)),
      Effect.tap((state) => Step.check(state === "Removed", `the state is ${state}`))
    ),
    shows: (state) => `The user's state is ${state}`,
    events: ["Removed"]
  })

  yield* Step.run({
    title: "Log in as the deleted user: refused",
    asked: "App.logIn(app, Credentials.emailPassword({ email, password }))",
    does: Effect.flip(App.logIn(app, emailPassword)).pipe(
      Effect.tap((error) => Step.check(error._tag === "AuthError", `the error is ${error._tag}: ${error.message}`))
    ),
    shows: refusal
  })
})

// -----------------------------------------------------------------------------
// The tour
// -----------------------------------------------------------------------------

/**
 * Runs the whole tour on a server of its own, and leaves nothing behind: no process, no port, no file.
 *
 * @param options.folder the app's folder; the sample app by default
 */
export const run = (options: { readonly folder?: string } = {}): Effect.Effect<void, TourError> =>
  Effect.scoped(Effect.gen(function*() {
    const path = yield* Path.Path
    const time = adjustable(yield* Clock.Clock)
    const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "effect-realm-tour-" })
    const startedAt = yield* Clock.monotonicTimeNanos

    yield* Effect.gen(function*() {
      const database = path.join(directory, "shop.db")
      const server = yield* makeServer({ ...options, database })
      const { app } = yield* server.shop
      yield* Console.log(styleText("bold", "A user's life with effect-realm"))
      yield* Console.log(`\n${styleText("bold", "The server")}`)
      yield* Step.line("app", `${app.id}, from ${path.relative("", options.folder ?? Shop.folder) || "."}`)
      yield* Step.line("url", app.baseUrl)
      yield* Step.line("data", database)
      yield* Step.line("took", `${Step.duration((yield* Clock.monotonicTimeNanos) - startedAt)} to start`)

      const files = path.join(directory, "client")
      yield* Effect.provide(listening(app, firstLife(server, time.setForward)), client(files))
      yield* Effect.provide(listening(app, secondLife(app)), client(files))
    }).pipe(
      Effect.scoped,
      Effect.provideService(Clock.Clock, time.clock),
      // The server logs each refusal; here they are part of the steps.
      Effect.provideService(References.MinimumLogLevel, "Warn")
    )

    const { requests, steps } = yield* Step.Progress
    yield* Console.log(
      `\n${styleText("green", `${yield* Ref.get(steps)} steps, all as they should be`)}: ${
        (yield* Ref.get(requests)).toLocaleString("en")
      } requests in ${Step.duration((yield* Clock.monotonicTimeNanos) - startedAt)}.`
    )
    yield* Console.log(
      "\nRead on: packages/examples/src/Tour.ts has the code of each step, README.md says how to begin.\n" +
        "Keep a server up to play with: npm start -- --serve"
    )
  })).pipe(Effect.provide(Layer.merge(Step.layer, NodeServices.layer)))
