/** A real browser for tests, without a window, and sites on this machine for it to visit. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as esbuild from "esbuild"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Browser, type BrowserContext, chromium } from "playwright-core"

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]
const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"]
const program = folders.flatMap((folder) => names.map((name) => join(folder, name))).find((file) => existsSync(file))

/** Whether the program is here. */
export const isInstalled = program !== undefined

if (!isInstalled) {
  // eslint-disable-next-line no-console
  console.warn("Chromium is not here, the tests in a browser are skipped. Get it with: apt-get install chromium")
}

/** A browser that knows nothing, until the scope ends. */
export const launch: Effect.Effect<Browser, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(() =>
    chromium.launch({
      executablePath: program!,
      // It cannot shut itself off from the system when it runs as root, and visits no page but ours.
      args: process.getuid?.() === 0 ? ["--no-sandbox"] : []
    })
  ),
  (browser) => Effect.promise(() => browser.close())
)

/** What a browser remembers for its pages and forgets with the scope, as in a private window. */
export const newContext = (browser: Browser): Effect.Effect<BrowserContext, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const context = await browser.newContext()
      // Where there is much else to do, a page takes its time.
      context.setDefaultTimeout(60_000)
      return context
    }),
    (context) => Effect.promise(() => context.close())
  )

/**
 * The script of a page.
 *
 * @param entry the URL of its module
 * @param alias files that stand in for packages
 */
export const bundle = (entry: string, alias: { readonly [name: string]: string } = {}): Effect.Effect<string> =>
  Effect.promise(async () => {
    const { outputFiles } = await esbuild.build({
      entryPoints: [fileURLToPath(entry)],
      bundle: true,
      write: false,
      format: "esm",
      platform: "browser",
      target: "es2024",
      conditions: ["effect-realm-source"],
      alias
    })
    return outputFiles[0]!.text
  })

/** A site that answers every path with a page of this script, by its origin. */
export const serve = (script: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer((request, response) => {
          const isScript = request.url === "/script.js"
          // A sandboxed frame is of no origin.
          response.setHeader("access-control-allow-origin", "*")
          response.setHeader("content-type", isScript ? "text/javascript" : "text/html")
          response.end(
            isScript ? script : "<!doctype html><title>A page</title><script type=module src=/script.js></script>"
          )
        })
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        return server
      }),
      (server) =>
        Effect.promise(() => {
          server.closeAllConnections()
          return new Promise<void>((resolve) => server.close(() => resolve()))
        })
    ),
    // A server on a port has an address of this kind.
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )
