import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as esbuild from "esbuild"
import { createContext, runInContext } from "node:vm"
import { gzipSync } from "node:zlib"
import * as Scripted from "./scripted.ts"

/** A program of a browser: the whole client, over `fetch`. */
const program = `
  export * as Client from "@effect-realm/client"
  export * as Effect from "effect/Effect"
  export * as FetchHttpClient from "effect/http/FetchHttpClient"
`

/** The program that logs in and calls a function, and no more. */
const small = `
  import * as App from "@effect-realm/client/App"
  import * as Credentials from "@effect-realm/client/Credentials"
  import * as TokenStore from "@effect-realm/client/TokenStore"
  import * as User from "@effect-realm/client/User"
  import * as Effect from "effect/Effect"
  import * as FetchHttpClient from "effect/http/FetchHttpClient"

  const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
  export const run = () =>
    App.logIn(app, Credentials.anonymous()).pipe(
      Effect.flatMap((user) => User.callFunction(user, "sum", [1, 2])),
      Effect.provide([FetchHttpClient.layer, TokenStore.layerMemory]),
      Effect.runPromise
    )
`

const bundle = (contents: string, options?: esbuild.BuildOptions) =>
  Effect.promise(async () => {
    const { metafile, outputFiles } = await esbuild.build({
      stdin: { contents, resolveDir: import.meta.dirname },
      bundle: true,
      write: false,
      metafile: true,
      format: "iife",
      globalName: "program",
      platform: "browser",
      target: "es2022",
      conditions: ["effect-realm-source"],
      ...options
    })
    return { text: outputFiles![0]!.text, inputs: Object.keys(metafile!.inputs) }
  })

/** What a host has beside ECMAScript: a context without them fails a bare use, these notice a careful one. */
const globals = [
  "Buffer",
  "XMLHttpRequest",
  "WebSocket",
  "EventSource",
  "Headers",
  "Request",
  "Response",
  "URL",
  "URLSearchParams",
  "AbortController",
  "addEventListener",
  "crypto",
  "document",
  "fetch",
  "indexedDB",
  "localStorage",
  "location",
  "navigator",
  "process",
  "require",
  "self",
  "sessionStorage",
  "window"
]

/** The source file that a line of a bundle comes from: esbuild writes a comment with its name in front of each. */
const fileOf = (bundle: string, stack: string): string => {
  const line = Number(/bundle\.js:(\d+)/.exec(stack)?.[1])
  return bundle.split("\n").slice(0, line).findLast((text) => /^\s*\/\/ \S+\.[mc]?[jt]s$/.test(text))?.trim().slice(
    3
  ) ?? "?"
}

const kilobytes = (text: string): number => gzipSync(text, { level: 9 }).length / 1000

/** Without the statements that import what was left out: a bundle of a page has none, however many modules we write. */
const code = (text: string): string => text.replace(/\bimport\b[^;"]*"[^"]+";/g, "")

/** What Effect uses when it is loaded, and what every browser, worker and runtime has: an encoder and a decoder of text. */
const encoding = { TextEncoder, TextDecoder }

describe("A bundle for the browser", () => {
  it.effect("has no module of Node.js and none of the server", () =>
    Effect.gen(function*() {
      const { inputs, text } = yield* bundle(program)
      assert.deepStrictEqual(inputs.filter((file) => /^node:|packages\/(server|testing)|platform-node/.test(file)), [])
      assert.isAbove(inputs.filter((file) => file.includes("packages/") || file.startsWith("src/")).length, 0)
      assert.notMatch(
        text,
        /\b(?:require\(|import\()\s*["'](?:node:)?(?:fs|crypto|http|https|net|path|os|util|stream|buffer)["']/
      )
    }), 60_000)

  it.effect(
    "runs where there is nothing but ECMAScript and text encoding, and makes no global but its own",
    () =>
      Effect.gen(function*() {
        const { text } = yield* bundle(program)
        const context = createContext({ ...encoding })
        const before: ReadonlyArray<string> = runInContext("Object.getOwnPropertyNames(globalThis)", context)
        const looks: Array<string> = []
        for (const name of globals) {
          Object.defineProperty(context, name, {
            configurable: true,
            get: () => void looks.push(`${fileOf(text, new Error(name).stack ?? "")} looks at ${name}`)
          })
        }
        runInContext(text, context, { filename: "bundle.js" })
        // Effect and bson look, with care, for what their host has. No module of ours does.
        assert.deepStrictEqual(looks.filter((look) => !/^\S*node_modules\/(effect|bson)\//.test(look)), [])
        const after: ReadonlyArray<string> = runInContext("Object.getOwnPropertyNames(globalThis)", context)
        const known = new Set([...before, ...globals])
        assert.deepStrictEqual(after.filter((name) => !known.has(name)), ["program"])
      }),
    60_000
  )

  it.effect(
    "logs in and calls a function with no more than a browser's fetch, URL and encoding",
    () =>
      Effect.gen(function*() {
        const { text } = yield* bundle(small)
        const requests: Array<Scripted.Sent> = []
        const fetch = async (input: URL | string, init: RequestInit): Promise<Response> => {
          const { pathname, search } = new URL(input)
          const sent: Scripted.Sent = {
            method: init.method ?? "GET",
            path: pathname + search,
            headers: Object.fromEntries(new Headers(init.headers)),
            body: init.body instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(init.body)) : undefined
          }
          requests.push(sent)
          const { body, status } = Scripted.wellBehaved(sent)
          return Response.json(body, { status: status ?? 200 })
        }
        const context = createContext({
          fetch,
          AbortController,
          Headers,
          Response,
          TextDecoder,
          TextEncoder,
          URL,
          URLSearchParams,
          clearTimeout,
          performance,
          queueMicrotask,
          setTimeout
        })
        runInContext(text, context)
        const result = yield* Effect.promise(() => runInContext("program.run()", context))
        assert.strictEqual(result, 3)
        assert.deepStrictEqual(requests.map(({ method, path }) => `${method} ${path}`), [
          "POST /api/client/v2.0/app/shop-abcde/auth/providers/anon-user/login",
          "GET /api/client/v2.0/auth/profile",
          "POST /api/client/v2.0/app/shop-abcde/functions/call"
        ])
        assert.deepStrictEqual(requests[2]!.body, {
          name: "sum",
          arguments: [{ $numberInt: "1" }, { $numberInt: "2" }]
        })
      }),
    60_000
  )

  it.effect("has nothing of a module that it does not use", () =>
    Effect.gen(function*() {
      const { text } = yield* bundle(small, { minify: true })
      assert.notInclude(text, "@effect-realm/client/OAuth")
      assert.notInclude(text, "push/providers")
    }), 60_000)

  it.effect("has of a module that it uses the operations that it uses", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [module: string, used: string, other: string]> = [
        ["Push", "register", "deregister"],
        ["ApiKeys", "create", "fetchAll"],
        ["EmailPassword", "registerUser", "resendConfirmationEmail"]
      ]
      for (const [module, used, other] of cases) {
        const { text } = yield* bundle(`export { ${used} } from "@effect-realm/client/${module}"`, {
          minify: true,
          format: "esm"
        })
        assert.include(text, used)
        assert.notInclude(text, other)
      }
    }), 60_000)

  it.effect(
    "keeps its size, compressed: 11.9 kB of the client, 23 kB with the protocol, 99 kB with all that it needs",
    () =>
      Effect.gen(function*() {
        // Above what it is by a little; `npm run bench` prints what it is, beside what it should be.
        const all = yield* bundle(small, { minify: true })
        assert.isAtMost(kilobytes(all.text), 99)
        const external = ["effect", "effect/*", "bson"]
        const own = yield* bundle(small, { minify: true, format: "esm", external })
        assert.isAtMost(kilobytes(code(own.text)), 23)
        const client = yield* bundle(small, {
          minify: true,
          format: "esm",
          external: [...external, "@effect-realm/protocol/*"]
        })
        assert.isAtMost(kilobytes(code(client.text)), 11.9)
      }),
    60_000
  )
})
