import { afterAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { fileURLToPath } from "node:url"
import * as Chromium from "../../client/test/support/chromium.ts"

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const vitest = fileURLToPath(new URL("browser/vitest.ts", import.meta.url))

/** A page for each place, whose tests run there. */
const open = Effect.gen(function*() {
  const script = yield* Chromium.bundle(new URL("browser/contracts.ts", import.meta.url).href, { vitest })
  const origin = yield* Chromium.serve(script)
  const browser = yield* Chromium.launch
  return yield* Effect.forEach(
    ["IndexedDB", "no-locks", "localStorage"],
    (place) =>
      Effect.flatMap(Chromium.newContext(browser), (context) =>
        Effect.promise(async () => {
          const page = await context.newPage()
          await page.goto(`${origin}/#${place}`)
          await page.waitForFunction(() => "tests" in globalThis)
          return { place, page, names: await page.evaluate(() => globalThis.tests.names) }
        }))
  )
})

const pages = Chromium.isInstalled ? await Effect.runPromise(Scope.provide(open, scope)) : []

describe("In a browser", () => {
  if (!Chromium.isInstalled) it.skip("the contracts of stores are kept", () => {})

  for (const { names, page } of pages) {
    for (const name of names) {
      it(name, async () => {
        const failure = await page.evaluate((name) => globalThis.tests.run(name), name)
        if (failure !== undefined) throw new Error(failure)
      })
    }
  }
})
