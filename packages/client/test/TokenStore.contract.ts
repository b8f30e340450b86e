/**
 * What every layer of `TokenStore` has to keep, whatever it stores in. A layer runs it in its own test file.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { Session } from "../src/Session.ts"
import { type Commit, type SessionKey, TokenStore } from "../src/TokenStore.ts"
import type { UserEvent } from "../src/UserEvent.ts"

const appId = "shop-abcde"

type NewSession = Omit<Session, "generation" | "activation">

/** What a log-in would remember of a user; `mark` tells two of them apart. */
export const session = (key: SessionKey, mark = "1", more?: Partial<NewSession>): NewSession => ({
  appId: key.appId,
  userId: key.userId,
  tokens: {
    accessToken: Redacted.make(`access ${mark}`),
    refreshToken: Redacted.make(`refresh ${mark}`),
    receivedAt: 0,
    lifetime: 1_800_000
  },
  providerType: "local-userpass",
  profile: { type: "normal", identities: [{ id: mark, providerType: "local-userpass" }], data: { name: mark } },
  customData: { mark },
  ...more
})

const withoutTokens = ({ tokens: _, ...rest }: NewSession): NewSession => rest

/** A session without the moment its tokens came, which a place with a clock of its own knows to some milliseconds. */
const timeless = (found: Option.Option<Session>) =>
  Option.map(found, ({ tokens, ...rest }) => ({ ...rest, tokens: { ...tokens, receivedAt: undefined } }))

const store = TokenStore.use(Effect.succeed)

/** The generation of a user's record, as a commit expects it. */
export const generation = (key: SessionKey) =>
  Effect.flatMap(
    store,
    (store) => Effect.map(store.get(key), Option.match({ onNone: () => 0, onSome: (session) => session.generation }))
  )

const commit = (key: SessionKey, change: Pick<Commit, "session" | "event"> & Partial<Commit>) =>
  Effect.gen(function*() {
    const { commit } = yield* store
    const expected = change.expected ?? (yield* generation(key))
    const outcome = yield* commit(key, { makeCurrent: false, ...change, expected })
    return outcome._tag === "Committed" ? Option.some(outcome.generation) : Option.none()
  })

/** The commits that the client makes. */
export const changes = {
  logIn: (key: SessionKey, mark?: string, more?: Partial<NewSession>) =>
    commit(key, {
      session: Option.some(session(key, mark, more)),
      event: { _tag: "LoggedIn", providerType: "local-userpass" },
      makeCurrent: true
    }),
  /** The log-in of a user whose record may be unreadable. */
  logInAnew: (key: SessionKey) =>
    commit(key, {
      expected: 0,
      session: Option.some(session(key, "anew")),
      event: { _tag: "LoggedIn", providerType: "local-userpass" },
      makeCurrent: true
    }),
  refresh: (key: SessionKey, mark?: string, more?: Partial<NewSession>) =>
    commit(key, {
      session: Option.some(session(key, mark, more)),
      event: { _tag: "AccessTokenRefreshed", customDataChanged: false }
    }),
  logOut: (key: SessionKey, mark?: string, more?: Partial<NewSession>) =>
    commit(key, {
      session: Option.some(withoutTokens(session(key, mark, more))),
      event: { _tag: "LoggedOut", reason: "Requested" }
    }),
  switchTo: (key: SessionKey, mark?: string, more?: Partial<NewSession>) =>
    commit(key, { session: Option.some(session(key, mark, more)), event: { _tag: "Switched" }, makeCurrent: true }),
  remove: (key: SessionKey) => commit(key, { session: Option.none(), event: { _tag: "Removed" } })
}

const { logIn, logOut, refresh, remove, switchTo } = changes

const user = (userId: string, app = appId): SessionKey => ({ appId: app, userId })
const ann = user("ann")
const bob = user("bob")

/** What a store answers when it is asked for everything: equal before and after, nothing has happened. */
export const observe = (keys: ReadonlyArray<SessionKey>) =>
  Effect.gen(function*() {
    const { app, get, users } = yield* store
    const apps = [...new Set(keys.map((key) => key.appId))]
    return {
      apps: yield* Effect.forEach(apps, (appId) => app(appId)),
      users: yield* Effect.forEach(apps, (appId) => users(appId)),
      sessions: yield* Effect.forEach(keys, (key) => get(key))
    }
  })

/** A subscriber that has begun; the queue holds what it was told. */
const subscribe = <A, E, R>(
  stream: Stream.Stream<A, E, R>
): Effect.Effect<Queue.Dequeue<A>, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<A>()
    yield* Effect.forkScoped(Stream.runForEach(stream, (event) => Queue.offer(queue, event)), {
      startImmediately: true
    })
    return queue
  })

const changesOf = (key: SessionKey) => Stream.unwrap(Effect.map(store, (store) => store.changes(key)))

const current = (app = appId) =>
  Effect.flatMap(store, (store) => Effect.map(store.app(app), (state) => Option.getOrUndefined(state.currentUser)))

const users = (app = appId) => Effect.flatMap(store, (store) => store.users(app))

/**
 * Registers the law for a layer of a store that is made over a place.
 *
 * @param over the same layer over a new place each time
 */
export const ownPlace = <E>(name: string, over: () => Layer.Layer<TokenStore, E>): void => {
  it.live(`${name} is the store of its own place, also within the reach of another one`, () =>
    Effect.gen(function*() {
      const [outer, inner] = [over(), over()]
      yield* Effect.gen(function*() {
        yield* logIn(ann)
        assert.deepStrictEqual(yield* users(), ["ann"])
        assert.deepStrictEqual(yield* Effect.provide(users(), inner), [])
        assert.deepStrictEqual(yield* Effect.provide(users(), outer), ["ann"], "the same layer is the same store")
      }).pipe(Effect.provide(outer))
    }))
}

/** A step of a user's life, for the model. */
const Step = Schema.Struct({
  user: Schema.Literals(["ann", "bob", "cleo", "dan"]),
  change: Schema.Literals(["logIn", "refresh", "logOut", "switchTo", "remove"]),
  /** Whether the change was computed from a record that has moved on. */
  late: Schema.Boolean
})

/** A writer of the schedule: how often it lets others go first before it reads, and between its reading and writing. */
const Writer = Schema.Struct({
  change: Schema.Literals(["logIn", "refresh", "logOut", "remove"]),
  before: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
  between: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
})

const yields = (times: number) => Effect.repeat(Effect.yieldNow, { times })

export interface ContractOptions {
  /** Runs of each property; fewer for a store that is slow. */
  readonly runs?: number
}

/**
 * Registers the suite for a layer.
 *
 * @param layer a store of its own each time it is built
 */
export const contract = <E>(name: string, layer: Layer.Layer<TokenStore, E>, options?: ContractOptions): void => {
  const law = <A, E2>(sentence: string, test: Effect.Effect<A, E2, TokenStore | Scope.Scope>): void =>
    it.effect(sentence, () => Effect.provide(test, Layer.fresh(layer)), 60_000)
  const arbitrary = { runs: options?.runs ?? 100 }

  describe(`TokenStore: ${name}`, () => {
    describe("get and commit", () => {
      law(
        "take any text for an id, and cost nobody else anything",
        Effect.gen(function*() {
          const { get, users } = yield* store
          const ids = ["__proto__", "a}b{c", "..", "a\u0000b", "%7D", "half \ud83d"]
          for (const id of ids) {
            yield* changes.logIn({ appId: id, userId: id })
            yield* changes.logIn({ appId: "shop", userId: id })
            yield* Effect.exit(get({ appId: id, userId: id }))
          }
          yield* changes.logIn({ appId: "shop", userId: "ann" })
          const found = yield* users("shop")
          assert.deepStrictEqual(found.filter((id) => id.isWellFormed()), [...ids.slice(0, -1), "ann"])
        })
      )

      law(
        "answers what was committed, whole",
        Effect.gen(function*() {
          const { get } = yield* store
          assert.deepStrictEqual(yield* get(ann), Option.none())
          const committed = yield* logIn(ann, "zoë 日本 🎉", {
            deviceId: "d1",
            customData: { n: [1, null, { $oid: "x" }] }
          })
          const found = Option.getOrThrow(yield* get(ann))
          const { activation, generation, tokens, ...rest } = found
          assert.deepStrictEqual(Option.some(generation), committed)
          assert.isAbove(activation, 0)
          const { tokens: sent, ...wanted } = session(ann, "zoë 日本 🎉", {
            deviceId: "d1",
            customData: { n: [1, null, { $oid: "x" }] }
          })
          assert.deepStrictEqual(rest, wanted)
          assert.strictEqual(Redacted.value(tokens!.accessToken), Redacted.value(sent!.accessToken))
          assert.strictEqual(Redacted.value(tokens!.refreshToken), Redacted.value(sent!.refreshToken))
          assert.strictEqual(tokens!.lifetime, sent!.lifetime)
        })
      )

      law(
        "drops a change that was computed from another generation",
        Effect.gen(function*() {
          const { get } = yield* store
          const first = Option.getOrThrow(yield* logIn(ann, "1"))
          assert.isTrue(Option.isSome(yield* refresh(ann, "2")))
          const before = timeless(yield* get(ann))
          const late = {
            session: Option.some(session(ann, "late")),
            event: { _tag: "Switched" },
            makeCurrent: true
          } as const
          for (const expected of [0, first, first + 1000, -1]) {
            assert.deepStrictEqual(yield* commit(ann, { ...late, expected }), Option.none())
          }
          assert.deepStrictEqual(
            yield* commit(bob, { ...late, session: Option.some(session(bob)), expected: 7 }),
            Option.none()
          )
          assert.deepStrictEqual(timeless(yield* get(ann)), before)
          assert.deepStrictEqual(yield* users(), ["ann"])
        })
      )

      law(
        "lets exactly one of a hundred changes from the same generation happen",
        Effect.gen(function*() {
          yield* logIn(ann)
          const expected = yield* generation(ann)
          const outcomes = yield* Effect.forEach(
            Array.from({ length: 100 }, (_, index) => String(index)),
            (mark) =>
              Effect.map(
                commit(ann, {
                  session: Option.some(session(ann, mark)),
                  event: { _tag: "AccessTokenRefreshed", customDataChanged: false },
                  expected
                }),
                Option.map((generation) => ({ generation, mark }))
              ),
            { concurrency: "unbounded" }
          )
          const [winner, ...others] = outcomes.flatMap(Option.toArray)
          assert.deepStrictEqual(others, [])
          const { get } = yield* store
          const found = Option.getOrThrow(yield* get(ann))
          assert.deepStrictEqual({ generation: found.generation, mark: found.customData["mark"] }, winner)
        })
      )

      law(
        "never gives a generation twice, not even when a user was removed and came back",
        Effect.gen(function*() {
          const seen = new Set<number>()
          const see = (generation: Option.Option<number>) => {
            const value = Option.getOrThrow(generation)
            assert.isAbove(value, Math.max(0, ...seen))
            seen.add(value)
          }
          for (let life = 0; life < 3; life++) {
            see(yield* logIn(ann))
            see(yield* refresh(ann))
            see(yield* refresh(ann))
            see(yield* logOut(ann))
            const last = yield* generation(ann)
            see(yield* remove(ann))
            assert.deepStrictEqual(
              yield* commit(ann, { session: Option.some(session(ann)), event: { _tag: "Switched" }, expected: last }),
              Option.none(),
              "an answer for the removed user is late"
            )
          }
        })
      )

      law(
        "keeps the users of two apps apart, and ids that look like something else are only ids",
        Effect.gen(function*() {
          const names = [
            "a/b",
            "a%2Fb",
            "a",
            "..",
            ".",
            "/",
            "%",
            "%25",
            "__proto__",
            "constructor",
            "toString",
            "user:ann",
            "0",
            "Zoë 日本 🎉",
            "a\u0000b",
            " ",
            "shop-abcde/ann",
            "\n",
            "A"
          ]
          const keys = names.flatMap((app) => names.map((name) => user(name, app)))
          yield* Effect.forEach(keys, (key, index) => logIn(key, String(index)), { discard: true })
          const { get } = yield* store
          for (const [index, key] of keys.entries()) {
            const found = Option.getOrThrow(yield* get(key))
            assert.deepStrictEqual([found.appId, found.userId, found.customData], [key.appId, key.userId, {
              mark: String(index)
            }])
          }
          for (const app of names) {
            assert.deepStrictEqual(yield* users(app), names)
            assert.strictEqual(yield* current(app), names.at(-1))
          }
          for (const app of names.slice(1)) yield* remove(user("__proto__", app))
          assert.isTrue(Option.isSome(yield* get(user("__proto__", names[0]))))
          assert.deepStrictEqual(yield* users(names[1]), names.filter((name) => name !== "__proto__"))
          assert.strictEqual(Reflect.get({}, "mark"), undefined)
        })
      )
    })

    describe("lease", () => {
      law(
        "has at most one holder per user, and as many as there are users",
        Effect.gen(function*() {
          const { lease } = yield* store
          const holders = new Map<string, number>()
          let most = 0
          const hold = (key: SessionKey) =>
            lease(
              key,
              Effect.gen(function*() {
                holders.set(key.userId, (holders.get(key.userId) ?? 0) + 1)
                most = Math.max(most, ...holders.values())
                yield* yields(3)
                holders.set(key.userId, holders.get(key.userId)! - 1)
              })
            )
          yield* Effect.forEach(Array.from({ length: 50 }, (_, index) => index % 2 === 0 ? ann : bob), hold, {
            concurrency: "unbounded"
          })
          assert.strictEqual(most, 1)
          // For ever, if the one user had to wait for the other.
          assert.strictEqual(yield* lease(ann, lease(bob, Effect.succeed("both"))), "both")
        })
      )

      law(
        "is given back on success, failure, a defect and interruption",
        Effect.gen(function*() {
          const { lease } = yield* store
          assert.strictEqual(yield* lease(ann, Effect.succeed(1)), 1)
          assert.strictEqual(yield* Effect.flip(lease(ann, Effect.fail("refused"))), "refused")
          assert.isTrue(Exit.hasDies(yield* Effect.exit(lease(ann, Effect.die("defect")))))
          const holder = yield* Effect.forkChild(lease(ann, Effect.never), { startImmediately: true })
          const waiter = yield* Effect.forkChild(lease(ann, Effect.never), { startImmediately: true })
          yield* Fiber.interrupt(waiter)
          yield* Fiber.interrupt(holder)
          assert.strictEqual(yield* lease(ann, Effect.succeed(2)), 2)
        })
      )

      law(
        "ends after two minutes: its holder fails typed, and the next one gets it",
        Effect.gen(function*() {
          const { lease } = yield* store
          const stuck = yield* Deferred.make<void>()
          const holder = yield* Effect.forkChild(
            Effect.flip(lease(ann, Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never)))
          )
          yield* Deferred.await(stuck)
          const next = yield* Effect.forkChild(lease(ann, Effect.succeed("next")))
          /** Lets a second pass, and a place that has a clock of its own answer what it was asked. */
          const pass = Effect.andThen(TestClock.adjust("1 second"), lease(bob, Effect.void))
          yield* Effect.replicateEffect(pass, 119)
          assert.isUndefined(next.pollUnsafe())
          yield* Effect.repeat(pass, { until: () => next.pollUnsafe() !== undefined })
          const error = yield* Fiber.join(holder)
          assert.strictEqual(error.reason._tag, "LeaseLost")
          assert.strictEqual(yield* Fiber.join(next), "next")
        })
      )
    })

    describe("changes", () => {
      law(
        "begin with the present state and then tell each commit of the user, once and in order",
        Effect.gen(function*() {
          yield* logIn(ann, "before")
          const events = yield* subscribe(changesOf(ann))
          const snapshot = yield* Queue.take(events)
          assert.strictEqual(snapshot._tag, "Snapshot")
          assert.isTrue(
            snapshot._tag === "Snapshot" && snapshot.missed === 0 &&
              Option.exists(snapshot.state, (session) => session.customData["mark"] === "before")
          )
          yield* refresh(ann)
          yield* logIn(bob)
          yield* logOut(ann)
          yield* switchTo(ann)
          yield* remove(ann)
          const told = yield* Queue.takeN(events, 4)
          assert.deepStrictEqual(told.map((event) => event._tag), [
            "AccessTokenRefreshed",
            "LoggedOut",
            "Switched",
            "Removed"
          ])
          assert.isTrue(told.every((event) => event._tag !== "Snapshot" && event.userId === "ann"))
          assert.strictEqual(yield* Queue.size(events), 0)
        })
      )

      law(
        "of a user nobody knows begin with none, and tell nothing of a change that did not happen",
        Effect.gen(function*() {
          const events = yield* subscribe(changesOf(ann))
          assert.deepStrictEqual(yield* Queue.take(events), { _tag: "Snapshot", missed: 0, state: Option.none() })
          yield* commit(ann, {
            session: Option.some(session(ann)),
            event: { _tag: "LoggedIn", providerType: "x" },
            expected: 9
          })
          const generation = Option.getOrThrow(yield* logIn(ann))
          assert.deepStrictEqual(yield* Queue.take(events), {
            _tag: "LoggedIn",
            providerType: "local-userpass",
            userId: "ann",
            generation
          })
          assert.strictEqual(yield* Queue.size(events), 0)
        })
      )

      law(
        "of an app tell every commit of any of its users, and nothing of another app",
        Effect.gen(function*() {
          yield* logIn(ann)
          const { appChanges } = yield* store
          const events = yield* subscribe(appChanges(appId))
          const snapshot = yield* Queue.take(events)
          assert.isTrue(snapshot._tag === "Snapshot" && Option.contains(snapshot.state.currentUser, "ann"))
          yield* logIn(user("ann", "other-app"))
          yield* logIn(bob)
          yield* logOut(bob)
          yield* remove(ann)
          const told = yield* Queue.takeN(events, 3)
          assert.deepStrictEqual(told.map((event) => event._tag === "Snapshot" ? event : [event.userId, event._tag]), [
            ["bob", "LoggedIn"],
            ["bob", "LoggedOut"],
            ["ann", "Removed"]
          ])
          assert.strictEqual(yield* Queue.size(events), 0)
        })
      )

      law(
        "delay nobody when a subscriber does not read: it is told how many it missed, and the present state",
        Effect.gen(function*() {
          yield* logIn(ann, "0")
          const stuck = yield* Deferred.make<void>()
          const gate = yield* Deferred.make<void>()
          const reading = yield* Deferred.make<void>()
          const secondGate = yield* Deferred.make<void>()
          const events = yield* subscribe(
            Stream.tap(changesOf(ann), (event) =>
              event._tag === "Snapshot"
                ? Effect.andThen(Deferred.succeed(stuck, undefined), Deferred.await(gate))
                : Effect.andThen(Deferred.succeed(reading, undefined), Deferred.await(secondGate)))
          )
          yield* Deferred.await(stuck)
          // The subscriber is stuck at its first snapshot, then at its first event, while changes go on.
          for (let index = 1; index <= 300; index++) yield* refresh(ann, String(index))
          yield* Deferred.succeed(gate, undefined)
          yield* Deferred.await(reading)
          yield* refresh(ann, "301")
          yield* Deferred.succeed(secondGate, undefined)
          let last = 0
          let missed = 0
          let seen = 0
          while (seen + missed < 301) {
            const event = yield* Queue.take(events)
            if (event._tag === "Snapshot") {
              missed += event.missed
              last = Option.getOrThrow(event.state).generation
            } else {
              seen++
              assert.strictEqual(event.generation, last + 1, "what was missed is told before what comes after it")
              last = event.generation
            }
          }
          assert.isAbove(missed, 0)
          assert.isAtMost(seen, 256)
          assert.strictEqual(last, yield* generation(ann))
          yield* refresh(ann, "302")
          assert.strictEqual((yield* Queue.take(events))._tag, "AccessTokenRefreshed")
        })
      )

      law(
        "are the same for all who listen, and one who stops harms nobody",
        Effect.gen(function*() {
          const first = yield* subscribe(changesOf(ann))
          const quitter = yield* Effect.forkChild(Stream.runHead(changesOf(ann)), { startImmediately: true })
          const second = yield* subscribe(changesOf(ann))
          yield* Queue.take(first)
          yield* Queue.take(second)
          yield* Fiber.join(quitter)
          yield* logIn(ann)
          yield* logOut(ann)
          assert.deepStrictEqual(yield* Queue.takeN(first, 2), yield* Queue.takeN(second, 2))
        })
      )
    })

    describe("users", () => {
      law(
        "are listed in the order of their first log-in, logged in or out",
        Effect.gen(function*() {
          for (const name of ["cleo", "ann", "bob"]) yield* logIn(user(name))
          yield* logOut(ann)
          yield* logIn(user("cleo"), "again")
          yield* switchTo(bob)
          assert.deepStrictEqual(yield* users(), ["cleo", "ann", "bob"])
          yield* remove(user("cleo"))
          assert.deepStrictEqual(yield* users(), ["ann", "bob"])
          yield* logIn(user("cleo"))
          assert.deepStrictEqual(yield* users(), ["ann", "bob", "cleo"])
          assert.deepStrictEqual(yield* users("nobody-here"), [])
        })
      )

      law(
        "are all listed, at 255, 256, 257 and 1,000 of them",
        Effect.gen(function*() {
          const names: Array<string> = []
          for (const count of [255, 256, 257, 1000]) {
            while (names.length < count) {
              names.push(`user ${names.length}`)
              yield* logIn(user(names.at(-1)!))
            }
            assert.deepStrictEqual(yield* users(), names)
          }
          for (const gone of [0, 254, 255, 256, 999]) yield* remove(user(`user ${gone}`))
          const left = names.filter((_, index) => ![0, 254, 255, 256, 999].includes(index))
          assert.deepStrictEqual(yield* users(), left)
          yield* logIn(user("user 255"))
          assert.deepStrictEqual(yield* users(), [...left, "user 255"])
        })
      )
    })

    describe("the current user", () => {
      law(
        "is who became current last and is logged in; else the one before",
        Effect.gen(function*() {
          assert.isUndefined(yield* current())
          for (const name of ["ann", "bob", "cleo"]) yield* logIn(user(name))
          assert.strictEqual(yield* current(), "cleo")
          yield* refresh(ann)
          assert.strictEqual(yield* current(), "cleo", "a refresh makes nobody current")
          yield* switchTo(ann)
          assert.strictEqual(yield* current(), "ann")
          yield* logOut(ann)
          assert.strictEqual(yield* current(), "cleo")
          yield* remove(user("cleo"))
          assert.strictEqual(yield* current(), "bob")
          yield* logOut(bob)
          assert.isUndefined(yield* current())
          yield* logIn(ann)
          assert.strictEqual(yield* current(), "ann")
        })
      )

      law(
        "is remembered with the anonymous user and the device of the app",
        Effect.gen(function*() {
          const { app } = yield* store
          yield* logIn(ann, "1", { providerType: "anon-user", deviceId: "d1" })
          yield* logIn(bob)
          assert.deepStrictEqual(yield* app(appId), {
            currentUser: Option.some("bob"),
            anonymousUser: Option.some("ann"),
            deviceId: Option.some("d1")
          })
          assert.deepStrictEqual(yield* app("another"), {
            currentUser: Option.none(),
            anonymousUser: Option.none(),
            deviceId: Option.none()
          })
        })
      )
    })

    let apps = 0

    it.effect.prop(
      "behaves like a list of sessions, whatever is done in whatever order",
      [Schema.Array(Step)],
      ([steps]) =>
        Effect.gen(function*() {
          const app = `app-${apps++}`
          const { app: stateOf, appChanges, get } = yield* store
          const events = yield* subscribe(appChanges(app))
          yield* Queue.take(events)
          // The model: who is known, in order; who is logged in; who was current, latest last; which of those without a name
          // was it, and whose device.
          const known: Array<string> = []
          const loggedIn = new Set<string>()
          let wasCurrent: Array<string> = []
          let anonymous: string | undefined
          const generations = new Map<string, Array<number>>()
          const expectedEvents: Array<Pick<UserEvent, "userId" | "generation">> = []

          for (const step of steps) {
            const key = user(step.user, app)
            const isKnown = known.includes(step.user)
            // The client never makes a record but by a log-in.
            if (!isKnown && step.change !== "logIn") continue
            if (step.late) {
              const late = commit(key, {
                session: step.change === "remove" ? Option.none() : Option.some(session(key)),
                event: { _tag: "Switched" },
                expected: (yield* generation(key)) - 1
              })
              assert.deepStrictEqual(yield* late, Option.none())
              continue
            }
            const isAnonymous = step.user === "cleo" || step.user === "dan"
            const more = isAnonymous ? { providerType: "anon-user", deviceId: `the device of ${step.user}` } : undefined
            const committed = Option.getOrThrow(yield* changes[step.change](key, "1", more))
            const earlier = generations.get(step.user) ?? []
            assert.isTrue(earlier.every((generation) => generation < committed))
            generations.set(step.user, [...earlier, committed])
            expectedEvents.push({ userId: step.user, generation: committed })

            if (step.change === "remove") known.splice(known.indexOf(step.user), 1)
            else if (!isKnown) known.push(step.user)
            if (step.change === "logOut" || step.change === "remove") loggedIn.delete(step.user)
            else loggedIn.add(step.user)
            if (step.change === "logIn" || step.change === "switchTo") {
              wasCurrent = [...wasCurrent.filter((name) => name !== step.user), step.user]
              if (isAnonymous) anonymous = step.user
            }
            if (step.change === "remove") wasCurrent = wasCurrent.filter((name) => name !== step.user)

            assert.deepStrictEqual(yield* users(app), known)
            assert.deepStrictEqual(yield* stateOf(app), {
              currentUser: Option.fromUndefinedOr(wasCurrent.findLast((name) => loggedIn.has(name))),
              anonymousUser: Option.fromUndefinedOr(anonymous),
              deviceId: Option.fromUndefinedOr(anonymous === undefined ? undefined : `the device of ${anonymous}`)
            })
            const found = yield* get(key)
            assert.strictEqual(Option.isSome(found), step.change !== "remove")
            assert.isTrue(Option.isNone(found) || found.value.generation === committed)
          }
          for (const expected of expectedEvents) {
            const event = yield* Queue.take(events)
            assert.isTrue(event._tag !== "Snapshot")
            assert.include(event, expected)
          }
          assert.strictEqual(yield* Queue.size(events), 0)
        }).pipe(Effect.scoped, Effect.provide(layer)),
      { arbitrary, timeout: 60_000 }
    )

    it.effect.prop(
      "makes one history of a record of all who write it at once",
      [Schema.Array(Writer)],
      ([writers]) =>
        Effect.gen(function*() {
          const key = user("ann", `app-${apps++}`)
          const { get } = yield* store
          const events = yield* subscribe(changesOf(key))
          yield* Queue.take(events)
          const committed = yield* Effect.forEach(writers, (writer, index) =>
            Effect.gen(function*() {
              yield* yields(writer.before)
              const expected = yield* generation(key)
              yield* yields(writer.between)
              const mark = String(index)
              const outcome = yield* commit(key, {
                expected,
                session: writer.change === "remove" ? Option.none() : Option.some(session(key, mark)),
                event: { _tag: "LoggedIn", providerType: mark },
                makeCurrent: writer.change === "logIn"
              })
              return Option.map(outcome, (generation) => ({ expected, generation, mark, change: writer.change }))
            }), { concurrency: "unbounded" })
          const happened = committed.flatMap(Option.toArray)
          // Each change that happened follows on the one it was computed from, so there is exactly one order of them.
          let before = { generation: 0, change: "remove" }
          for (let index = 0; index < happened.length; index++) {
            const event = yield* Queue.take(events)
            assert.isTrue(event._tag === "LoggedIn")
            const change = happened.find(({ generation }) => "generation" in event && event.generation === generation)
            assert.isDefined(change)
            assert.isTrue(event._tag === "LoggedIn" && event.providerType === change!.mark)
            assert.strictEqual(change!.expected, before.change === "remove" ? 0 : before.generation)
            assert.isAbove(change!.generation, before.generation)
            before = change!
          }
          assert.strictEqual(yield* Queue.size(events), 0)
          const found = yield* get(key)
          assert.strictEqual(
            Option.match(found, { onNone: () => 0, onSome: ({ generation }) => generation }),
            before.change === "remove" ? 0 : before.generation
          )
        }).pipe(Effect.scoped, Effect.provide(layer)),
      { arbitrary, timeout: 60_000 }
    )
  })
}
