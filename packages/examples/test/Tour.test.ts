import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { stripVTControlCharacters } from "node:util"
import * as Shop from "../src/Shop.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

const directory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "tour-test-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

interface Running {
  readonly child: ChildProcess
  /** What it has printed so far, on both streams. */
  readonly output: () => string
  readonly exitCode: Effect.Effect<number | null>
}

/** Starts the program as `npm start` does, in a process group of its own, and makes sure that it ends with the test. */
const start = (
  args: ReadonlyArray<string>,
  env: { readonly [name: string]: string }
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["--conditions=effect-realm-source", main, ...args], {
        detached: true,
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let text = ""
      child.stdout.on("data", (chunk: Buffer) => text += chunk.toString())
      child.stderr.on("data", (chunk: Buffer) => text += chunk.toString())
      const closed = once(child, "close")
      return { child, output: () => text, exitCode: Effect.promise(() => closed.then(() => child.exitCode)) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const url = (output: string): string => /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] ?? assert.fail(output)

const isReachable = (origin: string): Effect.Effect<boolean> =>
  Effect.promise(() => fetch(origin).then(() => true, () => false))

/** Whether any process of the group that a child was the first of is left. */
const isGroupLeft = ({ child }: Running): boolean => {
  try {
    return process.kill(-child.pid!, 0)
  } catch {
    return false
  }
}

const titles = [
  "Log in without an account",
  "Call a function, with int64 arguments",
  "Call a function whose result has a schema",
  "Call functions as methods, and one of a service by its name",
  "Call a function that asks another server, with a token that it signs itself",
  "Call a function that throws: the error has a type",
  "Call functions by contracts: arguments, results and the function's own errors are typed",
  "Read a function that streams, for as long as its values are wanted",
  "One thousand callers find the access token expired: one exchange",
  "Keep the account: register an email address and link it",
  "Read custom data with a schema, right after the shop has written it",
  "Write documents, typed by a schema",
  "Find documents by a filter, in an order",
  "Let the server compute over documents",
  "Write what the rules do not allow: refused, and nothing is changed",
  "Another user sees of a document what the rules show",
  "Watch a collection: changes come as they are made",
  "Change one document and get it, then remove all",
  "Make an API key for a program: its secret is shown once",
  "Log in with the key elsewhere, for as long as a job takes: the same user",
  "Have the user of a whole program as a layer",
  "Look at the keys, and switch one off and on again",
  "Delete the key: the program is refused at its next request",
  "Limit how much a program asks: what is too much fails here, and is not sent",
  "See how often a token was exchanged, in the metrics that are always counted",
  "Register this device for push messages, and take that back",
  "Log in with a token of the shop's own sign-on, which says who it is for",
  "In a shop that writes mails: register, confirm by the link, and set a new password by another",
  "Take over who is logged in from a page that ran on realm-web",
  "In a shop for people with an account elsewhere: out to the provider's page, and back",
  "Keep what a user without an account has, by linking the one elsewhere; then forget him in this browser",
  "Log in with a code that the provider's own library has handed out",
  "Log in with a token of Apple's or Facebook's own library",
  "Log in a second user by the app's own function",
  "Switch back to the first user",
  "Log in with a wrong password: nothing changes",
  "Log out",
  "Log out again: that is fine",
  "Call a function after the log-out: refused, nothing is sent",
  "Log in with email and password: the same user as before",
  "Restart the server on the same database file: the session goes on",
  "Restart the client on the same files: it knows who is logged in",
  "Delete the user, on the server and here",
  "Log in as the deleted user: refused"
]

describe("npm start", () => {
  it.live(
    "shows every step of a user's life, prints no secret and leaves nothing behind",
    () =>
      Effect.gen(function*() {
        const temporary = yield* directory
        const tour = yield* start([], { NO_COLOR: "1", TMPDIR: temporary })
        assert.strictEqual(yield* tour.exitCode, 0, tour.output())

        const output = tour.output()
        const lines = output.split("\n")
        assert.deepStrictEqual(
          lines.filter((line) => /^ ?\d/.test(line)),
          [
            ...titles.map((title, index) => `${String(index + 1).padStart(2)}  ${title}`),
            lines.find((line) => line.startsWith(`${titles.length} steps, all as they should be: `)) ??
              "a line with the count"
          ]
        )
        for (const label of ["asked", "got", "took"]) {
          const found = lines.filter((line) => line.startsWith(`    ${label.padEnd(6)}  `))
          assert.strictEqual(found.length, titles.length + (label === "took" ? 1 : 0), label)
        }
        assert.include(output, "1,000 answers of 3, from 1,000 calls and 1 exchange of the token")
        assert.strictEqual(stripVTControlCharacters(output), output, "there are colours in spite of NO_COLOR")

        for (const secret of ["secret of Ada", "a guess", "card-grace", "gave to Linus", "eyJ"]) {
          assert.notInclude(output, secret)
        }
        assert.notMatch(output, /[\w+=-]{48,}/, "something looks like a token or a key")

        assert.deepStrictEqual(
          yield* Effect.promise(() => readdir(temporary)),
          []
        )
        assert.isFalse(isGroupLeft(tour))
        assert.isFalse(yield* isReachable(url(output)))
      }),
    120_000
  )

  it.live("ends with exit code 1 and names the step and the reason when one fails", () =>
    Effect.gen(function*() {
      const temporary = yield* directory
      const folder = yield* directory
      yield* Effect.promise(() => cp(Shop.folder, folder, { recursive: true }))
      yield* Effect.promise(() => writeFile(join(folder, "functions/sum.js"), "exports = () => 0"))
      const tour = yield* start([folder], { FORCE_COLOR: "1", TMPDIR: temporary })
      assert.strictEqual(yield* tour.exitCode, 1, tour.output())
      const plain = stripVTControlCharacters(tour.output())
      assert.notStrictEqual(plain, tour.output(), "there are no colours in spite of FORCE_COLOR")
      assert.include(plain, "\n 2  Call a function, with int64 arguments\n    asked   User.callFunction(user, ")
      assert.include(plain, "Step 2 failed (Call a function, with int64 arguments): the sum is 0")
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(temporary)), [])
      assert.isFalse(isGroupLeft(tour))
    }), 60_000)

  it.live("says in one message why a folder is no app", () =>
    Effect.gen(function*() {
      const temporary = yield* directory
      const tour = yield* start([temporary], { NO_COLOR: "1", TMPDIR: temporary })
      assert.strictEqual(yield* tour.exitCode, 1, tour.output())
      assert.match(tour.output(), /is not an exported app: it has none of root_config\.json/)
      assert.notInclude(tour.output(), "    at ")
    }), 60_000)
})

describe("npm start -- --serve", () => {
  it.live("keeps the server up until it is asked to stop, and stops with exit code 0", () =>
    Effect.gen(function*() {
      const temporary = yield* directory
      const server = yield* start(["--serve"], { NO_COLOR: "1", TMPDIR: temporary })
      yield* Effect.promise(() =>
        new Promise<void>((resolve) => {
          server.child.stdout?.on("data", () => {
            if (server.output().includes("Ctrl-C")) resolve()
          })
        })
      )
      const origin = url(server.output())
      assert.isTrue(yield* isReachable(origin))
      server.child.kill("SIGINT")
      assert.strictEqual(yield* server.exitCode, 0, server.output())
      assert.include(server.output(), "Stopped.")
      assert.isFalse(yield* isReachable(origin))
      assert.isFalse(isGroupLeft(server))
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(temporary)), [])
    }), 60_000)
})
