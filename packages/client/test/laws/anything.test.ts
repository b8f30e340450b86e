import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Schedule, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { App, Policy, User, type UserEvent } from "../../src/index.ts"
import type * as ModelServer from "./modelServer.ts"
import { inProcesses } from "./processes.ts"
import * as World from "./world.ts"

const { app, done, operations } = World

const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const processes = 3

const emails = ["ann@model.test", "bob@model.test"]

const Step = Schema.Struct({
  at: Millis(25),
  process: Millis(processes - 1),
  user: Schema.Literals([0, 0, 0, 1]),
  operation: Schema.Literals([
    ...World.operationNames,
    "callFunction",
    "refreshCustomData",
    "logIn",
    "logIn",
    "logIn",
    "switchUser",
    "expire",
    "expire",
    "endSessions"
  ]),
  /** When whoever began it interrupts it. */
  leaves: Schema.Literals([1, 5, 13, 1_000_000, 1_000_000, 1_000_000])
})

const Trouble = Schema.Literals(["none", "none", "none", "none", "none", "503", "429", "HTML", "401 of nobody"])

const trouble = (kind: typeof Trouble.Type): ModelServer.Answer | undefined => {
  switch (kind) {
    case "none":
      return undefined
    case "503":
      return { status: 503, body: { error: "not now", error_code: "MaintenanceInProgress" } }
    case "429":
      return { status: 429, body: { error: "not so fast" } }
    case "HTML":
      return { status: 502, contentType: "text/html", text: "<html>" }
    case "401 of nobody":
      return { status: 401, contentType: "text/html", text: "<html>" }
  }
}

// A time with a fraction is another one when it has been written and read.
const inWholeMillis = Policy.provide({ reads: Schedule.spaced("200 millis").pipe(Schedule.upTo({ times: 2 })) })

/** The state that the last of some events leaves a user in. */
const stateAfter = (told: ReadonlyArray<UserEvent.UserEvent>): User.State => {
  const last = told.at(-1)
  return last === undefined ? "LoggedIn" : last._tag === "LoggedOut" || last._tag === "Removed" ? last._tag : "LoggedIn"
}

describe("Anything that anybody does at any time, and breaks off at any other", () => {
  it.effect.prop(
    "ends with one record that all agree on and all were told of, and with a user who can go on",
    {
      steps: Schema.Array(Step).check(Schema.isMinLength(2), Schema.isMaxLength(12)),
      troubles: Schema.Array(Trouble).check(Schema.isMinLength(1), Schema.isMaxLength(7)),
      latency: Schema.Array(Millis(9)).check(Schema.isMinLength(1), Schema.isMaxLength(7))
    },
    ({ latency, steps, troubles }) => {
      let isStarted = false
      return inProcesses(processes, {
        latency: ({ number }) => [latency[number % latency.length]!, latency[(3 * number + 1) % latency.length]!],
        script: ({ number }) => isStarted ? trouble(troubles[number % troubles.length]!) : undefined
      }, ({ server, within }) =>
        Effect.gen(function*() {
          server.register("linked@model.test")
          const users = yield* Effect.forEach(emails, (email, n) => within(n, World.logIn(server, email)))
          const told: Array<UserEvent.UserEvent> = []
          yield* Effect.forkScoped(
            within(
              2,
              Stream.runForEach(App.events(app), (event) =>
                Effect.sync(() => {
                  if (event._tag !== "Snapshot") told.push(event)
                }))
            ),
            { startImmediately: true }
          )
          yield* TestClock.adjust("1 second")
          for (const user of users) server.expire(user.id)
          server.forget()
          isStarted = true
          const run = ({ operation, user: n }: typeof Step.Type): Effect.Effect<unknown, unknown, World.Services> => {
            const user = users[n]!
            switch (operation) {
              case "logIn":
                return App.logIn(app, World.credentials(emails[n]!))
              case "switchUser":
                return App.switchUser(app, user)
              case "expire":
                return Effect.sync(() => server.accounts.has(user.id) && server.expire(user.id))
              case "endSessions":
                return Effect.sync(() => server.endSessions(user.id))
              default:
                return operations[operation].run(user)
            }
          }
          const exits = yield* World.together<unknown, unknown, never>(
            steps.map((step) => ({
              at: step.at,
              run: within(step.process, Effect.timeoutOption(inWholeMillis(run(step)), step.leaves))
            })),
            // Less than the life of a lease, or one that was not given back would not be noticed.
            "3 seconds"
          )
          for (const exit of exits) assert.isFalse(Exit.hasDies(exit) || Exit.hasInterrupts(exit), String(exit))
          isStarted = false

          for (const user of users) {
            // At most one exchange of a user is under way among all (law 1).
            const exchanges = server.asked.filter(({ bearer, endpoint }) =>
              endpoint === "refreshSession" && bearer?.userId === user.id
            )
            for (const [index, { at }] of exchanges.entries()) {
              if (index > 0) assert.isAtLeast(at, exchanges[index - 1]!.until!, "two exchanges at once")
            }

            // All see one record, and it is what the events have led to.
            const records = yield* Effect.forEach(
              [0, 1, 2],
              (process) => done(within(process, World.record(user)))
            )
            assert.deepStrictEqual(records[1], records[0])
            assert.deepStrictEqual(records[2], records[0])
            const own = told.filter(({ userId }) => userId === user.id)
            const generations = own.map(({ generation }) => generation)
            assert.deepStrictEqual(generations, [...new Set(generations)].toSorted((self, that) => self - that))
            const state = yield* done(within(0, User.state(user)))
            assert.strictEqual(state, stateAfter(own))
            if (records[0] !== undefined && own.length > 0) {
              assert.strictEqual(records[0].generation, generations.at(-1))
            }

            // No lease is left to wait for: the user goes on at once, or the server says that the session has ended.
            if (state !== "LoggedIn" || !server.accounts.has(user.id)) continue
            server.expire(user.id)
            const sid = World.claims(Redacted.make(records[0]!.tokens!.refreshToken))["sid"]
            const hasSession = server.sessions.has(String(sid))
            const call = yield* Effect.forkChild(within(1, User.callFunction(user, "echo")), { startImmediately: true })
            yield* TestClock.adjust("1 second")
            assert.strictEqual(call.pollUnsafe()?._tag, hasSession ? "Success" : "Failure", String(call.pollUnsafe()))
            assert.strictEqual(yield* done(within(2, User.state(user))), hasSession ? "LoggedIn" : "LoggedOut")
          }
        }).pipe(Effect.scoped))
    },
    World.runs(250)
  )
})
