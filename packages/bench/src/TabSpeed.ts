/**
 * What the stores of browsers cost, in tabs of a Chromium where it is installed: to read a session, to write one, until
 * another tab has seen it, and when all tabs find a token expired. Each beside what the browser does alone.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { build } from "esbuild"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { chromium, type Page } from "playwright-core"
import * as Burst from "./Burst.ts"
import * as PlainServer from "./PlainServer.ts"
import type { Kind } from "./programs/tab.ts"
import type * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const program = (process.env["PATH"] ?? "").split(delimiter)
  .flatMap((folder) => ["chromium", "google-chrome"].map((name) => join(folder, name)))
  .find((file) => existsSync(file))

const bundle = Effect.promise(async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(import.meta.url.replace("TabSpeed", "programs/tab")))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser"
  })
  return outputFiles[0]!.text
})

/** A site that is nothing but this script, and the server of its app. */
const serve = (
  script: string,
  { answer }: PlainServer.PlainServer
): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer((request, response) => {
          const { authorization, host } = request.headers
          const path = (request.url ?? "").split("?", 1)[0] ?? ""
          if (path.startsWith("/api/")) {
            request.resume()
            request.on("end", () => {
              const { body, status } = answer(request.method ?? "", path, authorization, `http://${host}`)
              response.writeHead(status, { "content-type": "application/json" }).end(body)
            })
            return
          }
          const isScript = request.url === "/script.js"
          response.setHeader("content-type", isScript ? "text/javascript" : "text/html")
          response.end(isScript ? script : "<!doctype html><script type=module src=/script.js></script>")
        })
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        return server
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  if (program === undefined) {
    console.error("not measured, since chromium is not here: get it with apt-get install chromium")
    return []
  }
  const server = PlainServer.make()
  const origin = yield* serve(yield* bundle, server)
  const browser = yield* Effect.acquireRelease(
    Effect.promise(() =>
      chromium.launch({ executablePath: program, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] })
    ),
    (browser) => Effect.promise(() => browser.close())
  )
  const kinds: ReadonlyArray<Kind> = ["IndexedDB", "localStorage"]
  return (yield* Effect.forEach(kinds, (kind) =>
    Effect.promise(async () => {
      const context = await browser.newContext()
      const open = async () => {
        const page = await context.newPage()
        await page.goto(`${origin}/#${kind}`)
        await page.waitForFunction(() => "bench" in globalThis)
        return page
      }
      const [writer, listener] = [await open(), await open()]
      const rows = await writer.evaluate((sizes) => globalThis.bench.work(sizes), sizes)
      await listener.evaluate(() => globalThis.bench.listen())
      const news = await writer.evaluate((sizes) => globalThis.bench.news(sizes), sizes)
      await listener.close()

      const others = await Promise.all(Array.from({ length: sizes.processes - 1 }, open))
      const userId = await writer.evaluate(() => globalThis.bench.logIn())
      const expired = async (tabs: ReadonlyArray<Page>, calls: number): Promise<Burst.Burst> => {
        server.expire()
        const begin = performance.now()
        await Promise.all(
          tabs.map((tab) =>
            tab.evaluate(({ calls, userId }) => globalThis.bench.call(userId, calls), { calls, userId })
          )
        )
        return { took: performance.now() - begin, exchanges: server.counts().exchanges }
      }
      const bursts = { together: new Array<Burst.Burst>(), alone: new Array<Burst.Burst>() }
      for (let round = 0; round < sizes.rounds; round++) {
        bursts.together.push(await expired([writer, ...others], Burst.calls))
        bursts.alone.push(await expired([writer], Burst.calls * sizes.processes))
      }
      await context.close()
      return [...rows, news, ...Burst.rows("tab", "tabs", `sessions in ${kind}`, sizes, bursts)]
    }))).flat()
})
