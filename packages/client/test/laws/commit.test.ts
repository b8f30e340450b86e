import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Queue, Schema, Stream } from "effect"
import { App, User } from "../../src/index.ts"
import type * as ModelServer from "./modelServer.ts"
import * as World from "./world.ts"

const { app, done, failure, inWorld, operations, settled, together } = World

const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const broken: { readonly [kind: string]: ModelServer.Answer } = {
  "500": { status: 500, body: { error: "broken", error_code: "InternalServerError" } },
  "401": { status: 401, body: { error: "invalid session", error_code: "InvalidSession" } },
  "403": { status: 403, body: { error: "no" } },
  html: { status: 502, contentType: "text/html", text: "<html></html>" },
  empty: { status: 200 },
  "other shape": { status: 200, body: { access_token: 1, identities: "none" } },
  "somebody else": {
    status: 200,
    body: {
      access_token: "e30.eyJzdWIiOiJldmUiLCJpYXQiOjEsImV4cCI6Mn0.x",
      refresh_token: "y",
      user_id: "user-1",
      device_id: ""
    }
  },
  "no refresh token": {
    status: 200,
    body: { access_token: "e30.eyJzdWIiOiJ1c2VyLTEiLCJpYXQiOjEsImV4cCI6Mn0.x", user_id: "user-1", device_id: "" }
  }
}

const Broken = Schema.Literals(Object.keys(broken))

/** The events of the app so far, without the snapshot. */
const listening = Effect.gen(function*() {
  const events = yield* Queue.unbounded<unknown>()
  yield* Effect.forkScoped(Stream.runForEach(Stream.drop(App.events(app), 1), (event) => Queue.offer(events, event)), {
    startImmediately: true
  })
  return Queue.clear(events)
})

describe("Law 6, all or nothing", () => {
  it.effect.prop(
    "a log-in that fails, at whatever request and in whatever way, leaves the store as it was, byte by byte",
    {
      at: Schema.Literals(["logInEmailPassword", "profile"]),
      kind: Broken,
      known: Schema.Literals(["nobody", "somebody else", "the same user, logged in", "the same user, logged out"])
    },
    ({ at, kind, known }) => {
      let refused = false
      return inWorld({
        store: "text",
        // The profile of somebody else, or without a refresh token, is a profile like any other.
        script: ({ endpoint }) => refused && endpoint === at ? broken[kind] : undefined
      }, ({ rows, server }) =>
        Effect.gen(function*() {
          if (known === "somebody else") yield* World.logIn(server, "bob@model.test")
          if (known.startsWith("the same")) {
            const user = yield* World.logIn(server)
            if (known.endsWith("out")) yield* User.logOut(user)
          }
          server.register("ann@model.test")
          const events = yield* listening
          const before = new Map(rows)
          const sessions = server.sessions.size
          refused = true
          const error = failure(yield* settled(App.logIn(app, World.credentials("ann@model.test"))))
          assert.notStrictEqual(error._tag, "TokenStoreError")
          assert.deepStrictEqual(rows, before)
          assert.deepStrictEqual(yield* events, [])
          // A session that nobody will use is ended on the server, too.
          assert.strictEqual(server.sessions.size, sessions)
        }))
    },
    World.runs(120)
  )

  it.effect.prop(
    "a link that fails, at whatever request and in whatever way, leaves the session as it was",
    { at: Schema.Literals(["logInEmailPassword", "profile"]), kind: Broken },
    ({ at, kind }) => {
      let refused = false
      return inWorld({
        store: "text",
        script: ({ endpoint }) => refused && endpoint === at ? broken[kind] : undefined
      }, ({ rows, server }) =>
        Effect.gen(function*() {
          yield* World.anonymous
          const user = yield* World.anonymous
          server.register("linked@model.test")
          const events = yield* listening
          const before = new Map(rows)
          refused = true
          failure(yield* settled(operations.linkCredentials.run(user)))
          // A 401 that an exchange may have helped has cost an exchange; the link itself has left nothing.
          if (server.count("refreshSession") === 0) {
            assert.deepStrictEqual(rows, before)
            assert.deepStrictEqual(yield* events, [])
          }
          assert.deepStrictEqual((yield* User.identities(user)).map(({ providerType }) => providerType), ["anon-user"])
          assert.strictEqual(yield* User.state(user), "LoggedIn")
        }))
    },
    World.runs(60)
  )

  it.effect.prop(
    "what was reported is what a new process sees",
    {
      steps: Schema.Array(Schema.Struct({
        user: Schema.Literals([0, 1, 2]),
        operation: Schema.Literals([...World.operationNames, "logIn", "logIn", "switchUser"]),
        at: Millis(20),
        broken: Schema.Literals([undefined, undefined, ...Object.keys(broken)].map((kind) => kind ?? "served"))
      })).check(Schema.isMinLength(1), Schema.isMaxLength(12)),
      storeLatency: Millis(1)
    },
    ({ steps, storeLatency }) => {
      let next = 0
      let started = false
      return inWorld({
        store: "text",
        storeLatency,
        latency: ({ number }) => [number % 3, number % 2],
        script: () => started ? broken[steps[next++ % steps.length]!.broken] : undefined
      }, ({ rows, server }) =>
        Effect.gen(function*() {
          server.register("linked@model.test")
          const emails = ["ann@model.test", "bob@model.test", "cleo@model.test"]
          const users = yield* Effect.forEach(emails, (email) => World.logIn(server, email))
          started = true
          const exits = yield* together<unknown, unknown, World.Services>(steps.map(({ at, operation, user }) => ({
            at,
            run: operation === "logIn"
              ? App.logIn(app, World.credentials(emails[user]!))
              : operation === "switchUser"
              ? App.switchUser(app, users[user]!)
              : operations[operation].run(users[user]!)
          })))
          for (const exit of exits) assert.isFalse(Exit.hasDies(exit), String(exit))
          assert.deepStrictEqual(yield* World.afterRestart(rows), yield* done(World.observed))
        }))
    },
    World.runs(150)
  )
})

describe("Law 11, damage is local", () => {
  const Damage = Schema.Literals([
    "",
    "{",
    "null",
    "[]",
    "42",
    "{\"session\":{}}",
    "<html>",
    "cut off",
    "of a later version"
  ])

  it.effect.prop(
    "one unreadable record costs one user, is reported once and left as it is; a log-in or a removal mends it",
    {
      damage: Damage,
      others: Schema.Array(
        Schema.Literals(["callFunction", "refresh", "refreshProfile", "refreshCustomData", "logOut"])
      ).check(Schema.isMaxLength(4)),
      mend: Schema.Literals(["logIn", "removeUser"])
    },
    ({ damage, mend, others }) => {
      const logged: Array<string> = []
      return inWorld({ store: "text" }, ({ rows, server }) =>
        Effect.gen(function*() {
          const ann = yield* World.logIn(server, "ann@model.test")
          const bob = yield* World.logIn(server, "bob@model.test")
          const [key, text] = [...rows].find(([key]) => key.includes("session/") && key.endsWith(ann.id))!
          const damaged = damage === "cut off"
            ? text.slice(0, text.length / 2)
            : damage === "of a later version"
            ? text.replaceAll("\"generation\"", "\"version2\"")
            : damage
          rows.set(key, damaged)

          for (const name of [...others, "callFunction", "refreshProfile"] as const) {
            const error = failure(yield* settled(operations[name].run(ann)))
            assert.isTrue(error._tag === "TokenStoreError" && error.reason._tag === "Damaged", String(error))
            for (const secret of server.secrets) {
              assert.isFalse(`${error.message} ${JSON.stringify(error)}`.includes(secret))
            }
          }
          for (const name of others.filter((name) => name !== "logOut")) yield* done(operations[name].run(bob))
          assert.deepStrictEqual((yield* App.allUsers(app)).map(({ id }) => id), [bob.id])
          assert.strictEqual((yield* App.currentUser(app)).pipe((found) => found._tag), "Some")
          assert.strictEqual(rows.get(key), damaged)
          assert.strictEqual(logged.length, 1)
          assert.include(logged[0]!, ann.id)

          if (mend === "logIn") {
            assert.deepStrictEqual(yield* World.logIn(server, "ann@model.test"), ann)
            yield* done(User.callFunction(ann, "echo"))
            assert.strictEqual((yield* App.allUsers(app)).length, 2)
          } else {
            yield* done(App.removeUser(app, ann))
            assert.strictEqual(yield* User.state(ann), "Removed")
            assert.isFalse(rows.has(key))
          }
          yield* done(User.callFunction(bob, "echo"))
        })).pipe(Effect.provide(Logger.layer([
          Logger.make(({ message }) => {
            logged.push(String(message))
          })
        ])))
    },
    World.runs(60)
  )
})
