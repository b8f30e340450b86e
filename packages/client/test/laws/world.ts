/** What the law tests have in common: a server, a store, and time that passes when it is told to. */
import { type Duration, Effect, Exit, Fiber, Layer, Option, Predicate, Redacted, Scheduler, type Scope } from "effect"
import type { HttpClient } from "effect/http"
import { KeyValueStore } from "effect/persistence"
import { TestClock } from "effect/testing"
import { App, Credentials, SessionStorage, TokenStore, User } from "../../src/index.ts"
import * as ModelServer from "./modelServer.ts"

export const app = App.make({ id: "shop-abcde", baseUrl: "http://model.test" })

export type Services = HttpClient.HttpClient | TokenStore.TokenStore

/** Where one process keeps sessions: in memory, or as text in rows that the test can read. */
export const ownStores = ["memory", "text"] as const

/** The same, and a place that other processes could share. */
export const stores = [...ownStores, "place"] as const

export interface Options extends ModelServer.Options {
  readonly store?: typeof stores[number]
  /** How many milliseconds each access to the rows or the place takes, before and after it happens. */
  readonly storeLatency?: number
  readonly rows?: Map<string, string>
}

export interface World {
  readonly server: ModelServer.ModelServer
  readonly rows: Map<string, string>
}

/** Rows that take no more text while they are full. */
export class FailingRows extends Map<string, string> {
  isFull = false
  override set(key: string, value: string): this {
    if (this.isFull) throw new Error("the disk is full")
    return super.set(key, value)
  }
}

/** Text in rows, slow on the test clock when it is told to, so that everything may happen between two accesses. */
export const rowStore = (rows: Map<string, string>, latency = 0): KeyValueStore.KeyValueStore => {
  const slow = <A>(access: () => A): Effect.Effect<A, KeyValueStore.KeyValueStoreError> => {
    const now = Effect.try({
      try: access,
      catch: (cause) => new KeyValueStore.KeyValueStoreError({ method: "access", message: String(cause), cause })
    })
    return latency === 0 ? now : Effect.delay(Effect.tap(now, () => Effect.sleep(latency)), latency)
  }
  return KeyValueStore.makeStringOnly({
    get: (key) => slow(() => rows.get(key)),
    set: (key, value) => slow(() => void rows.set(key, value)),
    remove: (key) => slow(() => void rows.delete(key)),
    clear: Effect.sync(() => rows.clear()),
    size: Effect.sync(() => rows.size),
    keys: Effect.sync(() => [...rows.keys()])
  })
}

export const storeLayer = (rows: Map<string, string>, latency = 0): Layer.Layer<TokenStore.TokenStore> =>
  Layer.fresh(TokenStore.layerKeyValueStore).pipe(
    Layer.provide(Layer.succeed(KeyValueStore.KeyValueStore, rowStore(rows, latency)))
  )

/** A place that takes so many milliseconds before and after each access. */
export const slowPlace = (place: Place, latency: number): Place => {
  const access = <A, E>(effect: Effect.Effect<A, E>) =>
    latency === 0 ? effect : Effect.delay(Effect.tap(effect, () => Effect.sleep(latency)), latency)
  return {
    ...place,
    read: (key) => access(place.read(key)),
    app: (appId) => access(place.app(appId)),
    write: (key, write) => access(place.write(key, write)),
    depart: (key) => access(place.depart(key)),
    acquire: (key, holder, life) => access(place.acquire(key, holder, life)),
    release: (key, holder) => access(place.release(key, holder)),
    log: (appId, after) => access(place.log(appId, after))
  }
}

type Place = SessionStorage.SessionStorage["Service"]

const placeLayer = (latency: number): Layer.Layer<TokenStore.TokenStore> =>
  TokenStore.layerStorage.pipe(
    Layer.provide(Layer.effect(
      SessionStorage.SessionStorage,
      Effect.map(SessionStorage.SessionStorage, (place) => slowPlace(place, latency))
    )),
    Layer.provide(Layer.fresh(SessionStorage.layerMemory))
  )

/** Runs a test in a world of its own. */
export const inWorld = <A, E>(
  options: Options,
  test: (world: World) => Effect.Effect<A, E, Services | Scope.Scope>
): Effect.Effect<A, E> => {
  const server = ModelServer.make(options)
  const rows = options.rows ?? new Map<string, string>()
  const layers = {
    memory: () => Layer.fresh(TokenStore.layerMemory),
    text: () => storeLayer(rows, options.storeLatency),
    place: () => placeLayer(options.storeLatency ?? 0)
  }
  const store = layers[options.store ?? "memory"]()
  return Effect.scoped(test({ server, rows })).pipe(Effect.provide(Layer.merge(server.layer, store)))
}

/** Runs an effect to its end, and lets as many seconds pass for it as it needs, up to ten minutes. */
export const settled = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Exit.Exit<A, E>, never, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    for (let second = 0; second < 600 && fiber.pollUnsafe() === undefined; second++) yield* TestClock.adjust("1 second")
    return yield* Fiber.await(fiber)
  })

/** Like {@link settled}, for an effect that has to succeed. */
export const done = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(settled(effect), (exit) => exit)

/** Operations that begin at their own time, in milliseconds from now. */
export interface Timed<A, E, R> {
  readonly at: number
  readonly run: Effect.Effect<A, E, R>
}

/** Starts every operation at its time, lets ten minutes pass or as long as is said, and answers what became of each. */
export const together = <A, E, R>(
  operations: ReadonlyArray<Timed<A, E, R>>,
  time: Duration.Input = "10 minutes"
): Effect.Effect<ReadonlyArray<Exit.Exit<A, E>>, never, R> =>
  Effect.gen(function*() {
    // The clock waits for those whom it wakes, but not for those who have yet to reach their first sleep.
    const fibers = yield* Effect.forEach(
      operations,
      ({ at, run }) => Effect.forkChild(Effect.delay(run, at + 1), { startImmediately: true })
    )
    yield* TestClock.adjust(time)
    return yield* Effect.forEach(fibers, Fiber.await)
  })

/** Lets other fibers in after so many steps of one, so that a schedule has more places to interleave. */
export const yielding = (steps: number) => Effect.provideService(Scheduler.MaxOpsBeforeYield, steps)

export const credentials = (email: string) => Credentials.emailPassword({ email, password: ModelServer.password })

/** A user who is logged in with email and password. */
export const logIn = (server: ModelServer.ModelServer, email = "ann@model.test") =>
  Effect.suspend(() => {
    server.register(email)
    return done(App.logIn(app, credentials(email)))
  })

export const anonymous = done(App.logIn(app, Credentials.anonymous({ reuse: false })))

/** The record of a user with the tokens readable, to compare. */
export const record = (user: User.User) =>
  Effect.flatMap(
    TokenStore.TokenStore,
    (store) =>
      Effect.map(store.get({ appId: user.appId, userId: user.id }), (found) =>
        Option.getOrUndefined(
          Option.map(found, (session) => ({
            ...session,
            tokens: session.tokens === undefined ? undefined : {
              ...session.tokens,
              accessToken: Redacted.value(session.tokens.accessToken),
              refreshToken: Redacted.value(session.tokens.refreshToken)
            }
          }))
        ))
  )

/** Everything that a store says of an app. */
export const observed = Effect.gen(function*() {
  const users = yield* App.allUsers(app)
  const current = yield* App.currentUser(app)
  return {
    current: Option.getOrUndefined(current)?.id,
    users: yield* Effect.forEach(users, (user) => record(user))
  }
})

/** What a new process sees in the same rows. */
export const afterRestart = (rows: Map<string, string>) => Effect.provide(observed, storeLayer(new Map(rows)))

/** An operation of a user. */
export interface Operation {
  /** Where its own request goes to. */
  readonly endpoint: ModelServer.Endpoint
  readonly run: (
    user: User.User
  ) => Effect.Effect<void, User.CallFunctionError | User.LinkCredentialsError | App.DeleteUserError, Services>
}

export const operationNames = [
  "callFunction",
  "refresh",
  "refreshProfile",
  "refreshCustomData",
  "linkCredentials",
  "deleteUser",
  "logOut",
  "removeUser"
] as const

export type OperationName = typeof operationNames[number]

export const operations: { readonly [name in OperationName]: Operation } = {
  callFunction: {
    endpoint: "callFunction",
    run: (user) => Effect.asVoid(User.callFunction(user, "echo", [user.id]))
  },
  refresh: { endpoint: "refreshSession", run: User.refresh },
  refreshProfile: { endpoint: "profile", run: (user) => Effect.asVoid(User.refreshProfile(user)) },
  refreshCustomData: { endpoint: "refreshSession", run: (user) => Effect.asVoid(User.refreshCustomData(user)) },
  linkCredentials: {
    endpoint: "logInEmailPassword",
    run: (user) => User.linkCredentials(user, credentials("linked@model.test"))
  },
  deleteUser: { endpoint: "deleteUser", run: (user) => App.deleteUser(app, user) },
  logOut: { endpoint: "deleteSession", run: User.logOut },
  removeUser: { endpoint: "deleteSession", run: (user) => App.removeUser(app, user) }
}

/** Those whose request carries the access token. */
export const authorized = ["callFunction", "refreshProfile", "linkCredentials", "deleteUser"] as const

/** How often a property runs and from which seed; `LAW_SEED` tries another. A failure prints a replay token. */
export const runs = (count: number) => ({
  arbitrary: { runs: count, seed: process.env["LAW_SEED"] ?? "effect-realm" },
  // Tests of one file share a thread: on a busy machine each takes as long as all of them.
  timeout: 60_000
})

/** The failure of an exit, which has to be one: no success, no defect, no interruption. */
export const failure = <A, E>(exit: Exit.Exit<A, E>): E => {
  const found = Exit.isFailure(exit) ? exit.cause.reasons : []
  const [reason] = found
  if (found.length !== 1 || reason?._tag !== "Fail") throw new Error(`expected one failure, got ${String(exit)}`)
  return reason.error
}

/** The tag of the failure of an exit. */
export const failureTag = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = failure(exit)
  return Predicate.hasProperty(error, "_tag") ? String(error._tag) : "none"
}

/** What a token of the model says. */
export const claims = (token: Redacted.Redacted): { readonly [claim: string]: unknown } =>
  JSON.parse(Buffer.from(Redacted.value(token).split(".")[1]!, "base64url").toString())
