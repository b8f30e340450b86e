/** The laws against the real server, where it can show them: both ends on one clock. */
import { AppDefinition } from "@effect-realm/server"
import { Faults, RealmTest, Requests } from "@effect-realm/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { App, Credentials, User } from "../../src/index.ts"

const definition = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } },
  customUserData: { databaseName: "shop", collectionName: "people", userIdField: "owner" }
})

const layer = RealmTest.layer({ app: definition })

// The server hashes and signs in real threads: on a busy machine they take their time.
const timeout = { timeout: 60_000 }

describe("Against the real server", () => {
  it.effect("law 1: one hundred callers with an expired token make one exchange", () =>
    Effect.gen(function*() {
      const requests = yield* Requests.Requests
      const user = yield* RealmTest.anonymousUser
      yield* TestClock.adjust("31 minutes")
      yield* requests.clear
      yield* Effect.forEach(Array.from({ length: 100 }), () => User.refreshProfile(user), { concurrency: "unbounded" })
      assert.strictEqual(yield* requests.count({ endpoint: "refreshSession" }), 1)
      assert.strictEqual(yield* requests.count({ endpoint: "profile" }), 100)
    }).pipe(Effect.provide(layer)), timeout)

  it.effect(
    "law 3: neither a link to somebody else's identity nor wrong credentials cause an exchange",
    () =>
      Effect.gen(function*() {
        const { app, register } = yield* RealmTest.RealmTest
        const requests = yield* Requests.Requests
        const { credentials, email } = yield* register()
        yield* App.logIn(app, credentials)
        const user = yield* RealmTest.anonymousUser
        yield* requests.clear
        const conflict = yield* Effect.flip(User.linkCredentials(user, credentials))
        assert.isTrue(conflict._tag === "AuthError" && conflict.reason._tag === "AuthError")
        assert.strictEqual(yield* requests.count(), 1)
        yield* requests.clear
        const wrong = yield* Effect.flip(
          User.linkCredentials(user, Credentials.emailPassword({ email, password: "something else" }))
        )
        assert.isTrue(wrong._tag === "AuthError" && wrong.reason._tag === "InvalidPassword")
        assert.strictEqual(yield* requests.count(), 1)
        assert.strictEqual(yield* User.state(user), "LoggedIn")
      }).pipe(Effect.provide(layer)),
    timeout
  )

  it.effect(
    "law 4: a session outlives a server that is away, and ends when an administrator ends it",
    () =>
      Effect.gen(function*() {
        const test = yield* RealmTest.RealmTest
        const user = yield* RealmTest.emailUser()
        yield* TestClock.adjust("1 day")
        const away = Faults.inject(Faults.at({ endpoint: "refreshSession" }, Faults.html))
        assert.strictEqual((yield* Effect.flip(away(User.refreshProfile(user))))._tag, "InvalidResponseError")
        assert.strictEqual((yield* User.refreshProfile(user)).identities.length, 1)
        yield* test.endSessions(user)
        assert.strictEqual((yield* Effect.flip(User.refreshProfile(user)))._tag, "SessionError")
        assert.strictEqual(yield* User.state(user), "LoggedOut")
      }).pipe(Effect.provide(layer)),
    timeout
  )

  it.effect(
    "law 8: sixty days of use, an exchange for each half hour in which something is asked",
    () =>
      Effect.gen(function*() {
        const requests = yield* Requests.Requests
        const user = yield* RealmTest.emailUser()
        yield* requests.clear
        for (let day = 0; day < 59; day++) {
          yield* TestClock.adjust("1 day")
          yield* User.refreshProfile(user)
        }
        assert.strictEqual(yield* requests.count({ endpoint: "refreshSession" }), 59)
        assert.strictEqual(yield* requests.count({ endpoint: "profile" }), 59)
        yield* TestClock.adjust("1 day")
        assert.strictEqual((yield* Effect.flip(User.refreshProfile(user)))._tag, "SessionError")
      }).pipe(Effect.provide(layer)),
    timeout
  )

  it.effect(
    "laws 5, 6, 10, 12: a life under any faults ends as it was reported, and nothing of it stays behind",
    () =>
      Effect.gen(function*() {
        const { app, countSessions, register } = yield* RealmTest.RealmTest
        const requests = yield* Requests.Requests
        yield* Faults.explore({ seeds: 12, rate: 0.35 }, (plan) =>
          Effect.gen(function*() {
            const { credentials } = yield* register()
            const other = yield* register()
            const user = yield* App.logIn(app, Credentials.anonymous({ reuse: false }))
            yield* requests.clear

            const failed: Array<string> = []
            const step = <A, E extends { readonly _tag: string }, R>(name: string, effect: Effect.Effect<A, E, R>) =>
              Effect.map(Effect.exit(effect), (exit) => {
                assert.isFalse(Exit.hasDies(exit) || Exit.hasInterrupts(exit), `${name}: ${String(exit)}`)
                if (Exit.isFailure(exit)) failed.push(name)
              })
            yield* RealmTest.whileTimePasses(
              Effect.gen(function*() {
                yield* step("profile", User.refreshProfile(user))
                yield* step("link", User.linkCredentials(user, credentials))
                yield* Effect.sleep("2 minutes")
                yield* step("custom data", User.refreshCustomData(user))
                yield* step("log-in", App.logIn(app, other.credentials))
                yield* step("log-out", User.logOut(user))
              }).pipe(Effect.provide(Faults.layer(plan))),
              { limit: "1 hour", step: "5 seconds" }
            )
            // Faults above the log hide requests that never arrived; those that did are no more than were meant.
            assert.isAtMost(yield* requests.count({ endpoint: "logInEmailPassword", when: ({ link }) => link }), 1)
            assert.isAtMost(yield* requests.count({ endpoint: "logInEmailPassword", when: ({ link }) => !link }), 1)
            assert.strictEqual(yield* User.state(user), "LoggedOut")
            const linked = (yield* User.identities(user)).length === 2
            assert.isTrue(linked || failed.includes("link") || failed.includes("profile"), failed.join())
            // A log-out whose request got lost leaves the session to its sixty days; else nothing is left.
            if (!failed.includes("log-out")) assert.strictEqual(yield* countSessions(user), 0)
            const current = yield* App.currentUser(app)
            assert.strictEqual(current._tag === "Some", !failed.includes("log-in"))
            if (current._tag === "Some") yield* App.removeUser(app, current.value)
          }))
      }).pipe(Effect.provide(RealmTest.layer({ app: definition, accessTokenLifetime: "1 minute" }))),
    timeout
  )
})
