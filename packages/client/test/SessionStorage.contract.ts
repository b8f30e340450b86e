/**
 * What every place for sessions has to keep that several processes share. A package with such a place runs it in its own
 * tests, on the real clock: a place has a clock of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { SessionStorage, type Write } from "../src/SessionStorage.ts"
import { type AppState, layerStorage, type SessionKey, TokenStore, TokenStoreError } from "../src/TokenStore.ts"
import * as User from "../src/User.ts"
import type { Snapshot, UserEvent } from "../src/UserEvent.ts"
import { changes, generation, session } from "./TokenStore.contract.ts"

type Storage = SessionStorage["Service"]
type Store = TokenStore["Service"]

let apps = 0

// Records that are damaged on purpose are reported, too.
const silence = Logger.layer([])

const write: Write = {
  expected: 0,
  since: Option.none(),
  record: Option.some("{}"),
  isLoggedIn: true,
  makeCurrent: true,
  isAnonymous: false,
  deviceId: Option.none(),
  event: "{}"
}

/** What a subscriber who has begun is told from now on. */
const listen = (store: Store, appId: string): Effect.Effect<Queue.Dequeue<UserEvent>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const told = yield* Queue.unbounded<UserEvent>()
    const begun = yield* Queue.unbounded<void>()
    yield* Effect.forkScoped(
      Stream.runForEach(
        store.appChanges(appId),
        (event) => event._tag === "Snapshot" ? Queue.offer(begun, undefined) : Queue.offer(told, event)
      )
    )
    yield* Queue.take(begun)
    return told
  })

const logIn = (key: SessionKey, since?: number) => ({
  expected: 0,
  session: Option.some(session(key)),
  event: { _tag: "LoggedIn", providerType: "local-userpass" } as const,
  makeCurrent: true,
  ...(since === undefined ? undefined : { since })
})

/** The same place, and what it has been asked for. */
const noted = (storage: Storage) => {
  const asked: Array<string> = []
  const noting = Object.entries(storage).map(([name, ask]) => [
    name,
    (...args: ReadonlyArray<never>) => {
      asked.push(name)
      return Reflect.apply(ask, storage, args)
    }
  ])
  return { asked, noting: Layer.succeed(SessionStorage, Object.fromEntries(noting)) }
}

interface Process {
  readonly storage: Storage
  readonly store: Store
  /** Runs an effect in this process. */
  readonly run: <A, E>(effect: Effect.Effect<A, E, TokenStore>) => Effect.Effect<A, E>
}

/**
 * Registers the suite for a place.
 *
 * @param layer the same place each time it is built, by a connection of its own
 */
export const contract = <E>(name: string, layer: Layer.Layer<SessionStorage, E>): void => {
  const open = Effect.map(
    Layer.build(Layer.fresh(Layer.provideMerge(layerStorage, layer))),
    (context): Process => ({
      storage: Context.get(context, SessionStorage),
      store: Context.get(context, TokenStore),
      run: (effect) => Effect.provideContext(effect, context)
    })
  )

  /** Runs a test with three processes and an app that nobody has used. */
  const law = <A, E2>(
    sentence: string,
    test: (
      processes: readonly [Process, Process, Process],
      appId: string
    ) => Effect.Effect<A, E2, Scope.Scope>
  ): void =>
    it.live(sentence, () =>
      Effect.scoped(Effect.gen(function*() {
        return yield* test([yield* open, yield* open, yield* open], `app "${apps++}" of ${name}`)
      })).pipe(Effect.provide(silence)), 60_000)

  describe(`SessionStorage: ${name}`, () => {
    law("lets exactly one of many processes change a record", (processes, appId) =>
      Effect.gen(function*() {
        const key = { appId, userId: "ann" }
        yield* processes[0].run(changes.logIn(key))
        for (let round = 0; round < 5; round++) {
          const expected = yield* processes[1].run(generation(key))
          const outcomes = yield* Effect.forEach(
            Array.from({ length: 30 }, (_, index) => index),
            (index) => processes[index % 3]!.store.commit(key, { ...logIn(key), expected }),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(outcomes.filter((outcome) => outcome._tag === "Committed").length, 1)
          assert.strictEqual(outcomes.filter((outcome) => outcome._tag === "MovedOn").length, 29)
        }
      }))

    law(
      "is asked once for a call on a token that lives: the row is read, nothing is written or leased",
      ([first], appId) =>
        Effect.gen(function*() {
          const { asked, noting } = noted(first.storage)
          const server = Layer.succeed(
            HttpClient.HttpClient,
            HttpClient.make((request) =>
              Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ $numberInt: "3" })))
            )
          )
          const user = User.make({ appId, baseUrl: "http://localhost", id: "ann" })
          const receivedAt = yield* Clock.currentTimeMillis
          const { tokens, ...rest } = session({ appId, userId: "ann" })
          yield* first.store.commit({ appId, userId: "ann" }, {
            ...logIn({ appId, userId: "ann" }),
            session: Option.some({ ...rest, tokens: { ...tokens!, receivedAt } })
          })
          const answer = yield* User.callFunction(user, "sum", [1, 2]).pipe(
            Effect.provide([server, Layer.provide(layerStorage, noting)])
          )
          assert.strictEqual(answer, 3)
          assert.deepStrictEqual(asked, ["read"])
        })
    )

    law(
      "is asked once for a user who is new, and for a change of one who is known",
      ([first], appId) =>
        Effect.gen(function*() {
          const { asked, noting } = noted(first.storage)
          const key = { appId, userId: "ann" }
          const outcome = yield* TokenStore.use((store) =>
            Effect.flatMap(
              store.commit(key, logIn(key)),
              (outcome) =>
                outcome._tag === "Committed"
                  ? store.commit(key, { ...logIn(key), expected: outcome.generation })
                  : Effect.succeed(outcome)
            )
          ).pipe(Effect.provide(Layer.provide(layerStorage, noting)))
          assert.strictEqual(outcome._tag, "Committed")
          assert.deepStrictEqual(asked, ["write", "write"])
        })
    )

    law(
      "counts everything of an app by one number, also when many users come at once",
      (processes, appId) =>
        Effect.gen(function*() {
          const userIds = Array.from({ length: 60 }, (_, index) => `user ${index}`)
          const outcomes = yield* Effect.forEach(
            userIds,
            (userId, index) => processes[index % 3]!.store.commit({ appId, userId }, logIn({ appId, userId })),
            { concurrency: "unbounded" }
          )
          const numbers = outcomes.flatMap((outcome) => outcome._tag === "Committed" ? [outcome.generation] : [])
          assert.deepStrictEqual(numbers.toSorted((a, b) => a - b), userIds.map((_, index) => index + 1))
          assert.strictEqual((yield* processes[2].storage.app(appId)).number, 60)
          const latest = userIds[numbers.indexOf(60)]
          assert.deepStrictEqual((yield* processes[1].store.app(appId)).currentUser, Option.fromUndefinedOr(latest))
          const first = yield* processes[1].store.users(appId)
          assert.deepStrictEqual(first, numbers.map((_, index) => userIds[numbers.indexOf(index + 1)]!))
        })
    )

    law("gives a lease to one at a time", (processes, appId) =>
      Effect.gen(function*() {
        const key = { appId, userId: "ann" }
        let holders = 0
        let most = 0
        const hold = Effect.gen(function*() {
          most = Math.max(most, ++holders)
          yield* Effect.repeat(Effect.yieldNow, { times: 5 })
          holders--
        })
        yield* Effect.forEach(
          Array.from({ length: 12 }, (_, index) => index),
          (index) => processes[index % 3]!.store.lease(key, hold),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(most, 1)
      }))

    law(
      "ends a lease whose holder has died, by the clock of the place",
      ([first, second], appId) =>
        Effect.gen(function*() {
          const key = { appId, userId: "ann" }
          const other = { appId, userId: "bob" }
          const life = Duration.millis(500)
          assert.isTrue(yield* first.storage.acquire(key, "dead", life))
          assert.isFalse(yield* second.storage.acquire(key, "heir", life))
          assert.isTrue(yield* second.storage.acquire(other, "heir", life), "another user's lease is another")
          yield* Effect.repeat(second.storage.acquire(key, "heir", life), {
            until: (isOurs) => isOurs,
            schedule: Schedule.spaced("20 millis")
          })
          assert.isFalse(yield* first.storage.acquire(key, "dead", life))
          // What the dead one gives back is not theirs any more.
          yield* first.storage.release(key, "dead")
          assert.isFalse(yield* first.storage.acquire(key, "dead", life))
          yield* second.storage.release(key, "heir")
          assert.isTrue(yield* first.storage.acquire(key, "dead", life))
        })
    )

    law(
      "counts the life of a token alike where clocks are hours apart",
      ([first, second], appId) =>
        Effect.gen(function*() {
          const key = { appId, userId: "ann" }
          const here = yield* Clock.Clock
          const hours = 3_600_000
          const wrong: Clock.Clock = Object.assign(Object.create(here), {
            currentTimeMillisUnsafe: () => here.currentTimeMillisUnsafe() + 2 * hours,
            currentTimeMillis: Effect.map(here.currentTimeMillis, (now) => now + 2 * hours)
          })
          const inDisagreement = Effect.provideService(Clock.Clock, wrong)
          const receivedAt = (process: Process) =>
            Effect.map(process.store.get(key), (found) => Option.getOrThrow(found).tokens?.receivedAt ?? Number.NaN)
          /** Writes a token that was received ten minutes ago. */
          const commit = (process: Process) =>
            Effect.gen(function*() {
              const { tokens, ...rest } = session(key)
              const receivedAt = (yield* Clock.currentTimeMillis) - hours / 6
              const expected = yield* process.run(generation(key))
              const change = {
                ...logIn(key),
                expected,
                session: Option.some({ ...rest, tokens: { ...tokens!, receivedAt } })
              }
              return yield* process.store.commit(key, change)
            })
          const agrees = Effect.gen(function*() {
            const age = (yield* Clock.currentTimeMillis) - (yield* receivedAt(second))
            assert.approximately(age, hours / 6, hours / 60)
          })
          yield* commit(first)
          yield* agrees
          yield* inDisagreement(agrees)
          yield* inDisagreement(commit(first))
          yield* agrees
          yield* inDisagreement(agrees)
        })
    )

    law("keeps a lease that is given again before it ends", ([first, second], appId) =>
      Effect.gen(function*() {
        const key = { appId, userId: "ann" }
        const life = Duration.seconds(20)
        assert.isTrue(yield* first.storage.acquire(key, "first", Duration.millis(1)))
        assert.isTrue(yield* first.storage.acquire(key, "first", life))
        yield* Effect.sleep("5 millis")
        assert.isFalse(yield* second.storage.acquire(key, "second", life))
      }))

    law(
      "refuses a log-in that was under way when its user left, in whichever process",
      ([first, second, third], appId) =>
        Effect.gen(function*() {
          const key = { appId, userId: "ann" }
          const outcomeOf = (since: number) =>
            Effect.map(first.store.commit(key, logIn(key, since)), ({ _tag }) => _tag)
          // A user whom nobody knows.
          const beforeAll = yield* first.store.arrival(appId)
          yield* second.store.depart(key)
          assert.strictEqual(yield* outcomeOf(beforeAll), "Left")
          assert.deepStrictEqual(yield* third.store.get(key), Option.none())
          // One who came after the departure.
          const after = yield* first.store.arrival(appId)
          assert.strictEqual(yield* outcomeOf(after), "Committed")
          // One who was removed meanwhile.
          yield* second.store.depart(key)
          yield* third.run(changes.remove(key))
          assert.strictEqual(yield* outcomeOf(after), "Left")
          assert.strictEqual(yield* outcomeOf(yield* first.store.arrival(appId)), "Committed")
          // Another user's departure is nothing to this one.
          const unharmed = yield* first.store.arrival(appId)
          yield* third.run(changes.remove(key))
          yield* second.store.depart({ appId, userId: "bob" })
          assert.strictEqual(yield* outcomeOf(unharmed), "Committed")
        })
    )

    law(
      "refuses it also when the clock is set forward by hours meanwhile, and others leave",
      ([first], appId) =>
        Effect.gen(function*() {
          const here = yield* Clock.Clock
          let wrong = 0
          const jumping: Clock.Clock = Object.assign(Object.create(here), {
            currentTimeMillisUnsafe: () => here.currentTimeMillisUnsafe() + wrong,
            currentTimeMillis: Effect.map(here.currentTimeMillis, (now) => now + wrong)
          })
          const { store } = yield* Effect.provideService(open, Clock.Clock, jumping)
          const key = { appId, userId: "ann" }
          const since = yield* first.store.arrival(appId)
          yield* store.depart(key)
          wrong = 7_200_000
          yield* store.depart({ appId, userId: "bob" })
          assert.strictEqual((yield* store.commit(key, logIn(key, since)))._tag, "Left")
        })
    )

    law(
      "decides between a departure and a commit that come at once",
      (processes, appId) =>
        Effect.forEach(Array.from({ length: 20 }, (_, index) => index), (index) =>
          Effect.gen(function*() {
            const key = { appId, userId: `user ${index}` }
            const since = yield* processes[0].store.arrival(appId)
            const [outcome] = yield* Effect.all([
              processes[index % 2]!.store.commit(key, logIn(key, since)),
              Effect.flatMap(processes[2].store.depart(key), () => processes[2].store.get(key))
            ], { concurrency: "unbounded" })
            // Whoever has departed looks next at what is there, and finds a log-in that was faster.
            const found = yield* processes[2].store.get(key)
            assert.strictEqual(Option.isSome(found), outcome._tag === "Committed")
          }), { discard: true })
    )

    law("tells every process of every change, in one order, each once", (processes, appId) =>
      Effect.gen(function*() {
        const listeners = yield* Effect.forEach(processes, ({ store }) => listen(store, appId))
        yield* Effect.forEach(
          Array.from({ length: 8 }, (_, index) => ({ appId, userId: `user ${index}` })),
          (key, index) =>
            Effect.gen(function*() {
              const process = processes[index % 3]!
              yield* process.run(changes.logIn(key))
              yield* process.run(changes.refresh(key))
              yield* process.run(changes.logOut(key))
              yield* process.run(changes.remove(key))
            }),
          { concurrency: "unbounded" }
        )
        for (const told of listeners) {
          const events = yield* Queue.takeN(told, 32)
          assert.deepStrictEqual(
            events.map((event) => event.generation),
            Array.from({ length: 32 }, (_, index) => index + 1)
          )
          assert.deepStrictEqual(
            events.filter((event) => event.userId === "user 5").map((event) => event._tag),
            ["LoggedIn", "AccessTokenRefreshed", "LoggedOut", "Removed"]
          )
        }
        for (const told of listeners) assert.strictEqual(yield* Queue.size(told), 0)
      }))

    law(
      "answers its log from where one was, page by page, and says what it has forgotten",
      ([first, second], appId) =>
        Effect.gen(function*() {
          const count = 1200
          let expected = 0
          for (let number = 1; number <= count; number++) {
            const outcome = yield* first.storage.write({ appId, userId: "ann" }, {
              ...write,
              expected,
              event: `"${number}"`
            })
            if (outcome._tag === "Committed") expected = outcome.generation
          }
          assert.strictEqual(expected, count)
          const after = count - 1000
          let position = after
          const found: Array<string> = []
          while (true) {
            const page = yield* second.storage.log(appId, position)
            assert.isAtMost(page.forgotten, after, "a thousand entries are remembered")
            for (const entry of page.entries) found.push(yield* entry.event)
            position = page.until
            if (!page.hasMore) break
          }
          assert.deepStrictEqual(found, Array.from({ length: 1000 }, (_, index) => `"${after + index + 1}"`))
          assert.strictEqual(position, count)
          assert.deepStrictEqual((yield* second.storage.log(appId, count)).entries, [])
        })
    )

    law(
      "tells the present state to one who was cut off while much happened, and each change from then on",
      ([first, second], appId) =>
        Effect.gen(function*() {
          let isCut = false
          const cutOff = new TokenStoreError({ reason: { _tag: "Unavailable", detail: "it is cut off" } })
          const storage = SessionStorage.of({
            ...second.storage,
            log: (appId, after) => isCut ? Effect.fail(cutOff) : second.storage.log(appId, after)
          })
          const context = yield* Layer.build(Layer.provide(layerStorage, Layer.succeed(SessionStorage, storage)))
          const told = yield* Queue.unbounded<UserEvent | Snapshot<AppState>>()
          yield* Effect.forkScoped(
            Stream.runForEach(
              Context.get(context, TokenStore).appChanges(appId),
              (event) => Queue.offer(told, event)
            )
          )
          const comes = (userId: string) => first.store.commit({ appId, userId }, logIn({ appId, userId }))
          assert.strictEqual((yield* Queue.take(told))._tag, "Snapshot")
          yield* comes("ann")
          assert.strictEqual((yield* Queue.take(told))._tag, "LoggedIn")

          isCut = true
          // More than any log has to remember.
          const many = Array.from({ length: 2600 }, (_, index) => `user ${index}`)
          yield* Effect.forEach(many, comes, { concurrency: 8, discard: true })
          yield* comes("bob")
          isCut = false

          const { entries, forgotten } = yield* first.storage.log(appId, 0)
          assert.strictEqual(entries[0]?.number, forgotten + 1, "all that is not forgotten is there")
          const snapshot = yield* Queue.take(told)
          assert.isTrue(snapshot._tag === "Snapshot" && snapshot.missed > 0)
          assert.deepStrictEqual(
            snapshot._tag === "Snapshot" && snapshot.state.currentUser,
            Option.some("bob")
          )
          yield* comes("cleo")
          // There may be one more snapshot, of what was read while the first one was made.
          const isCleo = (event: UserEvent | Snapshot<AppState>) =>
            event._tag === "Snapshot"
              ? Option.contains(event.state.currentUser, "cleo")
              : event.userId === "cleo"
          yield* Effect.repeat(Queue.take(told), { until: isCleo })
          yield* comes("dora")
          const next = yield* Queue.take(told)
          assert.deepStrictEqual([next._tag, next._tag !== "Snapshot" && next.userId], ["LoggedIn", "dora"])
          assert.strictEqual(yield* Queue.size(told), 0)
        })
    )

    law(
      "leaves a record alone that was written by a newer version, and says so",
      ([first, second], appId) =>
        Effect.gen(function*() {
          const key = { appId, userId: "ann" }
          const record = JSON.stringify({ version: 2, session: { everything: "else" } })
          yield* first.storage.write(key, { ...write, record: Option.some(record) })
          yield* first.run(changes.logIn({ appId, userId: "bob" }))
          const failure = yield* Effect.flip(second.store.get(key))
          assert.deepStrictEqual(failure.reason._tag === "NewerVersion" && failure.reason.version, 2)
          assert.strictEqual(
            (yield* Effect.flip(second.store.commit(key, logIn(key)))).reason._tag,
            "NewerVersion"
          )
          const { row } = yield* second.storage.read(key)
          assert.strictEqual(yield* Option.getOrThrow(row).record, record)
          assert.isTrue(Option.isSome(yield* second.store.get({ appId, userId: "bob" })))
          // Nor does it cost another user.
          yield* first.storage.write(key, { ...write, expected: 1, record: Option.some(record) })
          assert.deepStrictEqual(yield* second.store.users(appId), ["bob"])
          assert.deepStrictEqual((yield* second.store.app(appId)).currentUser, Option.some("bob"))
        })
    )

    law(
      "lets a damaged record, or one of another user or app, cost one user, whose next log-in replaces it",
      ([first, second], appId) =>
        Effect.gen(function*() {
          const ann = { appId, userId: "ann" }
          const bob = { appId, userId: "bob" }
          yield* first.run(changes.logIn(bob))
          const { row } = yield* first.storage.read(bob)
          const others = yield* Option.getOrThrow(row).record
          // The same user of another app, as one row may be copied to another.
          const elsewhere = { appId: `${appId}, another`, userId: "ann" }
          yield* first.run(changes.logIn(elsewhere))
          const anotherApps = yield* Option.getOrThrow((yield* first.storage.read(elsewhere)).row).record
          for (const record of ["", "{", "null", "[]", "{\"version\":1}", "<html>", others, anotherApps]) {
            const { row } = yield* first.storage.read(ann)
            const expected = Option.match(row, { onNone: () => 0, onSome: (row) => row.generation })
            yield* first.storage.write(ann, { ...write, expected, record: Option.some(record) })
            assert.strictEqual((yield* Effect.flip(second.store.get(ann))).reason._tag, "Damaged")
            assert.deepStrictEqual(yield* second.store.users(appId), ["bob"])
            assert.deepStrictEqual((yield* second.store.app(appId)).currentUser, Option.some("bob"))
            assert.strictEqual((yield* second.store.commit(ann, logIn(ann)))._tag, "Committed")
            assert.isTrue(Option.isSome(yield* first.store.get(ann)))
          }
        })
    )
  })
}
