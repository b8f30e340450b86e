import * as Database from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile, spawn } from "node:child_process"
import { copyFile, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import { createRequire } from "node:module"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { SMTPServer } from "smtp-server"

const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))
const manifest: { readonly version: string } = createRequire(import.meta.url)("../package.json")
const shop = fileURLToPath(new URL("../../examples/apps/shop", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

/** The program in a process of its own, which ends with the test. */
const start = (args: ReadonlyArray<string>, environment: { readonly [name: string]: string } = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, ["--conditions=effect-realm-source", bin, ...args], {
        env: { PATH: process.env["PATH"] ?? "", ...environment },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let out = ""
      let error = ""
      let waiting: (() => void) | undefined
      child.stdout.on("data", (chunk: Buffer) => {
        out += chunk.toString()
        waiting?.()
      })
      child.stderr.on("data", (chunk: Buffer) => {
        error += chunk.toString()
      })
      const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, out, error })))
      const origin = new Promise<string>((resolve, reject) => {
        waiting = () => {
          const match = /^Serving \S+ at (\S+)$/m.exec(out)
          if (match !== null) resolve(match[1] ?? "")
        }
        void ended.then(({ error }) => reject(new Error(`ended: ${error}`)))
      })
      // Most tests expect the end, not the start.
      origin.catch(() => {})
      return { child, ended: Effect.promise(() => ended), origin: Effect.promise(() => origin) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const run = (args: ReadonlyArray<string>, environment?: { readonly [name: string]: string }) =>
  Effect.scoped(Effect.flatMap(start(args, environment), ({ ended }) => ended))

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "effect-realm-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

/** An exported app with email addresses, and nothing else. */
const mailApp = (config: { readonly [field: string]: unknown }) =>
  Effect.tap(folder, (directory) =>
    Effect.promise(async () => {
      await mkdir(join(directory, "auth"))
      const name = "local-userpass"
      await writeFile(
        join(directory, "root_config.json"),
        JSON.stringify({ app_id: "mail-abcde", config_version: 20210101, name: "mail" })
      )
      await writeFile(
        join(directory, "auth", "providers.json"),
        JSON.stringify({ [name]: { name, type: name, disabled: false, config } })
      )
    }))

const register = (origin: string, email: string, appId = "shop-abcde") =>
  Effect.promise(() =>
    fetch(`${origin}/api/client/v2.0/app/${appId}/auth/providers/local-userpass/register`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password: "correct horse" })
    })
  )

/** One message for people: no stack, nothing of the inside. */
const assertMessage = ({ code, error, out }: Ended, message: RegExp) => {
  assert.strictEqual(code, 1)
  assert.match(error, message)
  assert.strictEqual(error.trim().split("\n").length, 1)
  assert.notMatch(error, /^\s+at |node:internal|\.ts:\d/m)
  assert.notMatch(out, /Serving/)
}

const timeout = 60_000

describe("the installed command", () => {
  const launcher = fileURLToPath(new URL("../bin/effect-realm.js", import.meta.url))

  const launch = (path: string, ...options: ReadonlyArray<string>) =>
    Effect.promise(() =>
      new Promise<Ended>((resolve) => {
        execFile(process.execPath, [...options, path, "--help"], (error, out, text) => {
          resolve({ code: error === null ? 0 : 1, out, error: text })
        })
      })
    )

  it.live("says that Node.js is too old before anything of it is used", () =>
    Effect.gen(function*() {
      const old = "data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'20.20.2'}})"
      assertMessage(yield* launch(launcher, "--import", old), /^effect-realm: this is Node.js 20.20.2, and 22.19/)
    }), { timeout })

  it.live("says that it is not built", () =>
    Effect.gen(function*() {
      const copy = join(yield* folder, "effect-realm.mjs")
      yield* Effect.promise(() => copyFile(launcher, copy))
      assertMessage(yield* launch(copy), /^effect-realm: it is not built yet/)
    }), { timeout })

  it.live("says which version the package has", () =>
    Effect.gen(function*() {
      const { code, out } = yield* run(["--version"])
      assert.deepStrictEqual([code, out], [0, `effect-realm v${manifest.version}\n`])
    }), { timeout })
})

describe("serve", () => {
  it.live("prints its URL, answers, and ends with 0 when told to", () =>
    Effect.gen(function*() {
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const { child, ended, origin } = yield* start(["serve", shop, "--port", "0", "--database", "memory:"])
        const response = yield* Effect.flatMap(
          origin,
          (origin) => Effect.promise(() => fetch(`${origin}/api/client/v2.0/app/shop-abcde/location`))
        )
        assert.strictEqual(response.status, 200)
        child.kill(signal)
        assert.strictEqual((yield* ended).code, 0)
      }
    }), { timeout })

  it.live("takes the same from the environment", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const { origin } = yield* start(["serve", shop], {
        EFFECT_REALM_PORT: "0",
        EFFECT_REALM_HOST: "127.0.0.1",
        EFFECT_REALM_DATABASE: join(directory, "app.db"),
        EFFECT_REALM_CHANGES_AGE: "7 days",
        EFFECT_REALM_CHANGES_SIZE: "0.5",
        EFFECT_REALM_PUBLIC_URL: "https://realm.example"
      })
      assert.strictEqual(yield* origin, "https://realm.example")
    }), { timeout })

  it.live("keeps what it has answered when it is killed", () =>
    Effect.gen(function*() {
      const database = join(yield* folder, "app.db")
      const args = ["serve", shop, "--port", "0", "--database", database]
      const first = yield* start(args)
      assert.strictEqual((yield* register(yield* first.origin, "ann@example.com")).status, 201)
      first.child.kill("SIGKILL")
      yield* first.ended
      const second = yield* start(args)
      assert.strictEqual((yield* register(yield* second.origin, "ann@example.com")).status, 409)
    }), { timeout })

  it.live(
    "sends mails by the server it was told of, and registers nobody while that is down",
    () =>
      Effect.gen(function*() {
        const directory = yield* mailApp({
          emailConfirmationUrl: "https://shop.example/confirm",
          resetPasswordUrl: "https://shop.example/reset"
        })
        const mails: Array<string> = []
        const smtp = new SMTPServer({
          authOptional: true,
          closeTimeout: 1,
          onData: (stream, _, done) => {
            let mail = ""
            stream.on("data", (chunk: Buffer) => mail += chunk.toString())
            stream.on("end", () => {
              mails.push(mail)
              done()
            })
          }
        })
        yield* Effect.promise(() => new Promise<void>((resolve) => smtp.listen(0, "localhost", resolve)))
        const close = Effect.promise(() => new Promise<void>((resolve) => smtp.close(resolve)))
        const { port } = smtp.server.address() as AddressInfo
        const { ended, origin, child } = yield* start(["serve", directory, "--port", "0", "--database", "memory:"], {
          EFFECT_REALM_MAIL_URL: `smtp://localhost:${port}?tls=none`,
          EFFECT_REALM_MAIL_FROM: "Shop <no-reply@shop.example>"
        })
        const url = yield* origin
        assert.strictEqual((yield* register(url, "ann@example.com", "mail-abcde")).status, 201)
        assert.match(mails.join(), /^From: Shop <no-reply@shop\.example>\r$/m)
        assert.match(mails.join(), /^To: ann@example\.com\r$/m)
        yield* close
        assert.strictEqual((yield* register(url, "bob@example.com", "mail-abcde")).status, 503)
        assert.strictEqual((yield* register(url, "bob@example.com", "mail-abcde")).status, 503)
        child.kill("SIGTERM")
        const { code, out } = yield* ended
        assert.strictEqual(code, 0)
        assert.match(out, /mail not sent: The mail server cannot be reached/)
      }),
    { timeout }
  )

  it.live("lets functions reach the hosts that it is told of, and no others", () =>
    Effect.gen(function*() {
      const there = yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<Server>((resolve) => {
            const server = createServer((_, response) => response.end("tea"))
            server.listen(0, "127.0.0.1", () => resolve(server))
          })
        ),
        (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
      )
      const { port } = there.address() as AddressInfo
      const directory = yield* folder
      yield* Effect.promise(async () => {
        await mkdir(join(directory, "auth"))
        await mkdir(join(directory, "functions"))
        await writeFile(join(directory, "root_config.json"), JSON.stringify({ app_id: "shop-abcde", name: "shop" }))
        await writeFile(
          join(directory, "auth", "providers.json"),
          JSON.stringify({ "anon-user": { name: "anon-user", type: "anon-user", disabled: false } })
        )
        await writeFile(
          join(directory, "functions", "ask.js"),
          `exports = (host) => context.http.get({ url: "http://" + host }).then(({ body }) => body.text(), ({ code }) => code)`
        )
      })
      const serve = ["serve", directory, "--port", "0", "--database", "memory:"]
      const { origin } = yield* start([...serve, "--http-hosts", `*.example, 127.0.0.1:${port}`])
      const url = `${yield* origin}/api/client/v2.0/app/shop-abcde`
      const post = (path: string, body: unknown, token = "") =>
        Effect.promise(() =>
          fetch(`${url}/${path}`, {
            method: "POST",
            headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
            body: JSON.stringify(body)
          }).then((response) => response.json())
        )
      const { access_token: token } = yield* post("auth/providers/anon-user/login", {})
      const ask = (host: string) => post("functions/call", { name: "ask", arguments: [host] }, token)
      assert.strictEqual(yield* ask(`127.0.0.1:${port}`), "tea")
      assert.strictEqual(yield* ask("127.0.0.1:1"), "NoMatchingRuleFound")
      assertMessage(
        yield* run([...serve, "--http-hosts", "https://api.example"]),
        /https:\/\/api.example is not a host/
      )
    }), { timeout })

  it.live("says in one line what keeps it from starting", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const text = join(directory, "text.db")
      yield* Effect.promise(() => writeFile(text, "not a database, but rather long for a text of no meaning at all\n"))
      const memory = ["--database", "memory:"]
      assertMessage(yield* run(["serve", directory, ...memory]), /is not an exported app/)
      assertMessage(yield* run(["serve", shop, ...memory, "--port", "70000"]), /70000 is not a port/)
      assertMessage(yield* run(["serve", shop, ...memory, "--public-url", "x"]), /x is not an origin/)
      assertMessage(
        yield* run(["serve", shop, ...memory], { EFFECT_REALM_PORT: "abc" }),
        /EFFECT_REALM_PORT is not a port/
      )
      assertMessage(yield* run(["serve", shop, ...memory, "--proxies", "17"]), /There cannot be 17 proxies/)
      assertMessage(
        yield* run(["serve", shop, ...memory], { EFFECT_REALM_PROXIES: "one" }),
        /EFFECT_REALM_PROXIES is not a number/
      )
      assertMessage(yield* run(["serve", shop, ...memory, "--host", ""]), /--host is empty/)
      assertMessage(yield* run(["serve", shop, "--port", "0", "--database", ""]), /--database is empty/)
      assertMessage(yield* run(["serve", "", ...memory]), /The app folder is empty/)
      assertMessage(yield* run(["serve", shop, "--port", "0", "--database", text]), /it is not a database/)
      assertMessage(yield* run(["serve", shop, "--port", "0", "--database", "mongodb://x"]), /not supported yet/)
      assertMessage(
        yield* run(["serve", shop, "--port", "0", "--database", join(directory, "no", "folder.db")]),
        /is not available/
      )
    }), { timeout })

  it.live("says which limits on changes make no sense", () =>
    Effect.gen(function*() {
      const serve = ["serve", shop, "--port", "0", "--database", "memory:"]
      assertMessage(yield* run([...serve, "--changes-age", "soon"]), /^effect-realm: soon is not how long/)
      assertMessage(
        yield* run(serve, { EFFECT_REALM_CHANGES_SIZE: "0" }),
        /^effect-realm: 0 is not a number of MiB/
      )
    }), { timeout })

  it.live("says which port is in use, and which database", () =>
    Effect.gen(function*() {
      const database = join(yield* folder, "app.db")
      const { origin } = yield* start(["serve", shop, "--port", "0", "--database", database])
      const { port } = new URL(yield* origin)
      assertMessage(
        yield* run(["serve", shop, "--port", port, "--database", "memory:"]),
        new RegExp(`Port ${port} is in use`)
      )
      assertMessage(yield* run(["serve", shop, "--port", "0", "--database", database]), /is in use by another process/)
    }), { timeout })

  it.live("explains a wrong command line", () =>
    Effect.gen(function*() {
      const wrong = yield* run(["serve", shop, "--port", "abc"])
      assert.strictEqual(wrong.code, 1)
      assert.match(wrong.error, /--port: "abc"/)
      assert.notMatch(wrong.error, /^\s+at /m)
      assert.strictEqual((yield* run(["serve"])).code, 1)
      assert.strictEqual((yield* run(["--help"])).code, 0)
    }), { timeout })
})

/** What a server answers to a log-in with a key. */
const logInWith = (origin: string, key: string) =>
  Effect.promise(() =>
    fetch(`${origin}/api/client/v2.0/app/shop-abcde/auth/providers/api-key/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ key })
    })
  ).pipe(Effect.map(({ status }) => status))

describe("keys", () => {
  it.live(
    "are made, listed, disabled, enabled and deleted, and open the server as long as they stand",
    () =>
      Effect.gen(function*() {
        const database = join(yield* folder, "app.db")
        const keys = (...args: ReadonlyArray<string>) => run(["keys", ...args, "--database", database])
        const created = yield* keys("create", shop, "nightly-report")
        const key = created.out.trim()
        assert.notInclude(created.error, key)
        const id = /the id ([0-9a-f]{24})/.exec(created.error)?.[1]
        assert.match(key, /^[A-Za-z0-9]{64}$/)
        assert.match(created.error, /not shown again/)
        const logIn = Effect.scoped(Effect.gen(function*() {
          const { child, ended, origin } = yield* start(["serve", shop, "--port", "0", "--database", database])
          const status = yield* logInWith(yield* origin, key)
          child.kill("SIGTERM")
          yield* ended
          return status
        }))

        assert.strictEqual(yield* logIn, 200)
        assert.strictEqual((yield* keys("list", shop)).out, `${id}  enabled   nightly-report\n`)
        assert.strictEqual(
          (yield* keys("disable", shop, "nightly-report")).out,
          "The key nightly-report is disabled.\n"
        )
        assert.strictEqual(yield* logIn, 401)
        assert.strictEqual((yield* keys("list", shop)).out, `${id}  disabled  nightly-report\n`)
        assert.strictEqual((yield* keys("enable", shop, id ?? "")).out, "The key nightly-report is enabled.\n")
        assert.strictEqual((yield* keys("delete", shop, id ?? "")).out, "The key nightly-report is deleted.\n")
        assert.strictEqual((yield* keys("list", shop)).out, "")
      }),
    { timeout }
  )

  it.live("are looked after while the server runs, and what is done holds at once", () =>
    Effect.gen(function*() {
      const database = join(yield* folder, "app.db")
      const keys = (...args: ReadonlyArray<string>) => run(["keys", ...args, "--database", database])
      const serve = start(["serve", shop, "--port", "0", "--database", database])
      yield* Effect.scoped(Effect.gen(function*() {
        const { child, ended, origin } = yield* serve
        const url = yield* origin
        const socket = yield* Effect.promise(() => stat(`${database}-control`))
        assert.strictEqual(socket.mode & 0o777, 0o600)
        const { error, out } = yield* keys("create", shop, "nightly-report")
        assert.match(error, /not shown again/)
        const key = out.trim()
        assert.strictEqual(yield* logInWith(url, key), 200)
        assert.strictEqual(
          (yield* keys("disable", shop, "nightly-report")).out,
          "The key nightly-report is disabled.\n"
        )
        assert.strictEqual(yield* logInWith(url, key), 401)
        assertMessage(yield* keys("create", shop, "nightly-report"), /API key with name already exists/)
        const other = yield* keys("list", yield* mailApp({}))
        assert.strictEqual(other.code, 1)
        assert.match(other.error, /The server that has the database serves the app shop-abcde/)
        // As a crash does: the socket stays behind.
        child.kill("SIGKILL")
        yield* ended
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        const { child, ended, origin } = yield* serve
        yield* origin
        assert.match((yield* keys("list", shop)).out, /^[0-9a-f]{24}  disabled  nightly-report\n$/)
        child.kill("SIGTERM")
        assert.strictEqual((yield* ended).code, 0)
      }))
      const left = yield* Effect.promise(() => readdir(dirname(database)))
      assert.deepStrictEqual(left, ["app.db"])
    }), { timeout })

  it.live(
    "say so when another process has the database, and is no server that can be asked",
    () =>
      Effect.gen(function*() {
        const database = join(yield* folder, "app.db")
        yield* Effect.gen(function*() {
          yield* Database.Database
          assertMessage(
            yield* run(["keys", "list", shop, "--database", database]),
            /is in use by another process/
          )
        }).pipe(Effect.provide(Database.layerFile({ filename: database })))
      }),
    { timeout }
  )

  it.live("that cannot be are refused in one line", () =>
    Effect.gen(function*() {
      const database = join(yield* folder, "app.db")
      const keys = (...args: ReadonlyArray<string>) => run(["keys", ...args, "--database", database])
      yield* keys("create", shop, "import")
      assertMessage(yield* keys("create", shop, "import"), /API key with name already exists/)
      assertMessage(yield* keys("create", shop, "no spaces"), /can only contain ASCII letters/)
      assertMessage(yield* keys("delete", shop, "export"), /There is no server key "export"/)
      assertMessage(yield* run(["keys", "list", shop, "--database", "memory:"]), /in the server's database/)
      assertMessage(yield* keys("list", "/no/such/folder"), /is not an exported app/)
    }), { timeout })
})

describe("users", () => {
  const userId = (number: number) => number.toString(16).padStart(24, "0")
  const user = (number: number) =>
    JSON.stringify({
      _id: userId(number),
      identities: [{ id: number === 1 ? "card-ada" : `card-${number}`, provider_type: "custom-function" }]
    })

  const logIn = (origin: string, card: string) =>
    Effect.promise(() =>
      fetch(`${origin}/api/client/v2.0/app/shop-abcde/auth/providers/custom-function/login`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ card })
      }).then((response) => response.json())
    )

  it.live("are taken over with their ids, once, and what is not is told by line", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const database = join(directory, "app.db")
      const list = join(directory, "users.json")
      const take = run(["users", "import", shop, list, "--database", database])
      const email = { provider_type: "local-userpass", provider_data: { email: "ann@example.com" } }
      const lines = [
        user(1),
        JSON.stringify({ _id: userId(2), identities: [{ id: "1", provider_type: "anon-user" }] }),
        JSON.stringify({ _id: userId(3), identities: [email, { id: "5e9e", provider_type: "api-key" }] }),
        JSON.stringify({ _id: userId(4), identities: [{ id: "1", provider_type: "oauth2-google" }] })
      ]
      yield* Effect.promise(() => writeFile(list, lines.join("\n")))
      const first = yield* take
      assert.deepStrictEqual([first.code, first.out], [0, "Taken over: 3. Here before: 0. Left out: 1. Refused: 0.\n"])
      const told = first.error.trim().split("\n")
      assert.strictEqual(told.length, 4)
      assert.match(told[0] ?? "", /users\.json:2: warning: left out: .*anonymous/)
      assert.match(told[1] ?? "", /users\.json:3: warning: the API key 5e9e .* does not come along/)
      assert.match(told[2] ?? "", /^Taken over with an email address: 1\./)
      assert.match(told[3] ?? "", /^warning: taken over with oauth2-google: 1\./)

      yield* Effect.promise(() => writeFile(list, [...lines, "{ \"_id\": 5 }"].join("\n")))
      const second = yield* take
      assert.deepStrictEqual([second.code, second.out], [
        1,
        "Taken over: 0. Here before: 3. Left out: 1. Refused: 1.\n"
      ])
      assert.match(second.error, /users\.json:5: error: "_id" is no id of a user/)
      assert.match(second.error, /^effect-realm: 1 refused/m)

      yield* Effect.scoped(Effect.gen(function*() {
        const { child, ended, origin } = yield* start(["serve", shop, "--port", "0", "--database", database])
        assert.propertyVal(yield* logIn(yield* origin, "card-ada"), "user_id", userId(1))
        assertMessage(yield* take, /is in use by another process.* A server has to be stopped/)
        child.kill("SIGTERM")
        yield* ended
      }))
    }), { timeout })

  it.live("of a long list are told of while they come, and stay when that is cut short", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const list = join(directory, "users.json")
      const take = start(["users", "import", shop, list, "--database", join(directory, "app.db")])
      const users = Array.from({ length: 5_500 }, (_, index) => user(index + 1))
      yield* Effect.promise(() => writeFile(list, `[${users.join(",\n")}]`))
      const { child, ended } = yield* take
      child.stderr.once("data", () => child.kill("SIGINT"))
      const { error, out } = yield* ended
      assert.match(error, /^5000 entries of .*users\.json are done$/m)
      const again = yield* Effect.flatMap(take, ({ ended }) => ended)
      const [, added, present] = /^Taken over: (\d+)\. Here before: (\d+)\./.exec(again.out) ?? []
      assert.strictEqual(Number(added) + Number(present), users.length)
      assert.include(out, `Taken over: ${present}. Here before: 0.`)
    }), { timeout })

  it.live("come in a text of their own", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const list = join(directory, "users.json")
      const take = (path: string) => run(["users", "import", shop, path, "--database", join(directory, "app.db")])
      assertMessage(yield* take(join(directory, "none.json")), /none\.json cannot be read: there is no such file/)
      assertMessage(yield* take(directory), /cannot be read: it is no file/)
      yield* Effect.promise(() => writeFile(list, Buffer.from([0xff, 0xfe, 0x7b, 0])))
      assertMessage(yield* take(list), /users\.json is no UTF-8 text/)
      assertMessage(yield* run(["users", "import", shop, list, "--database", "memory:"]), /in the server's database/)
    }), { timeout })
})

describe("check", () => {
  it.live("is content with the sample app and with nothing that is none", () =>
    Effect.gen(function*() {
      const good = yield* run(["check", shop])
      assert.deepStrictEqual(good, { code: 0, out: "shop-abcde can be served.\n", error: "" })
      assertMessage(
        yield* run(["check", "/no/such/folder"]),
        /^effect-realm: \/no\/such\/folder is not an exported app/
      )
    }), { timeout })

  it.live("tells all at once: what is wrong, and what is left aside", () =>
    Effect.gen(function*() {
      const directory = yield* mailApp({ autoConfirm: "yes" })
      yield* Effect.promise(() => mkdir(join(directory, "triggers")))
      yield* Effect.promise(() => writeFile(join(directory, "triggers", "nightly.json"), "{}"))
      const { code, error, out } = yield* run(["check", directory])
      assert.deepStrictEqual([code, out], [1, ""])
      assert.match(error, /^triggers:1: warning: Triggers are not supported yet/m)
      assert.match(error, /^effect-realm: .* has an error:\nauth\/providers\.json:1: error: Expected boolean$/m)
    }), { timeout })

  it.live("warns of what an app asks for in vain", () =>
    Effect.gen(function*() {
      const directory = yield* mailApp({ emailConfirmationUrl: "https://shop.example/confirm" })
      const { code, error, out } = yield* run(["check", directory])
      assert.deepStrictEqual([code, out], [0, "mail-abcde can be served.\n"])
      assert.match(error, /^warning: email addresses are confirmed by mail.*: no mail server is configured/m)
      assert.match(error, /^warning: passwords are reset by mail.*: the app's resetPasswordUrl is not the URL/m)
      const mail = { EFFECT_REALM_MAIL_URL: "smtp://localhost?tls=none", EFFECT_REALM_MAIL_FROM: "shop@shop.example" }
      assert.notMatch((yield* run(["check", directory], mail)).error, /no mail server/)
    }), { timeout })

  it.live("refuses mail settings that cannot be right, and shows no password", () =>
    Effect.gen(function*() {
      const from = "shop@shop.example"
      const wrong = [
        [run(["check", shop, "--mail-from", from]), /both a server and a sender/],
        [run(["check", shop], { EFFECT_REALM_MAIL_URL: "smtps://host" }), /both a server and a sender/],
        [run(["check", shop, "--mail-from", from, "--mail-url", "smtps://u:secret@host"]), /--mail-url has a password/],
        [run(["check", shop, "--mail-from", "nobody", "--mail-url", "smtps://host"]), /the sender is no address/],
        [
          run(["check", shop, "--mail-from", from], { EFFECT_REALM_MAIL_URL: "http://u:secret@host" }),
          /The mail settings are not right: the URL is none/
        ]
      ] as const
      for (const [running, words] of wrong) {
        const ended = yield* running
        assertMessage(ended, words)
        assert.notInclude(`${ended.out}${ended.error}`, "secret")
      }
    }), { timeout })
})
