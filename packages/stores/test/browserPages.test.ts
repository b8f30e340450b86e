/** What pages do to one place at once, and what a store says where a browser keeps nothing, no more, or what is not its own. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { fileURLToPath } from "node:url"
import type { Browser, BrowserContext, Frame, Page } from "playwright-core"
import * as Chromium from "../../client/test/support/chromium.ts"
import type { Answer, Place } from "./browser/store.ts"

const places: ReadonlyArray<Place> = ["IndexedDB", "localStorage"]

const failed = (answer: Answer, reason: string, message: RegExp): void => {
  assert.isTrue("reason" in answer, JSON.stringify(answer))
  assert.strictEqual("reason" in answer && answer.reason, reason)
  assert.match("message" in answer ? answer.message : "", message)
}

const vitest = fileURLToPath(new URL("browser/vitest.ts", import.meta.url))

describe.skipIf(!Chromium.isInstalled)("A page with a store", () => {
  const scope = Scope.makeUnsafe()
  let browser: Browser
  let origin: string
  beforeAll(async () => {
    const open = Effect.gen(function*() {
      const script = yield* Chromium.bundle(new URL("browser/store.ts", import.meta.url).href, { vitest })
      browser = yield* Chromium.launch
      origin = yield* Chromium.serve(script)
    })
    await Effect.runPromise(Scope.provide(open, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const ready = async <P extends Page | Frame>(page: P): Promise<P> => {
    await page.waitForFunction(() => "store" in globalThis)
    return page
  }

  const open = async (context: BrowserContext): Promise<Page> => {
    const page = await context.newPage()
    await page.goto(origin)
    return ready(page)
  }

  const law = (sentence: string, test: (context: BrowserContext, place: Place) => Promise<void>): void => {
    for (const place of places) {
      it.live(`${sentence}: ${place}`, () =>
        Effect.flatMap(Chromium.newContext(browser), (context) => Effect.promise(() => test(context, place))))
    }
  }

  const logIn = (page: Page | Frame, place: Place, userId: string, length?: number) =>
    page.evaluate(
      ([place, userId, length]) => globalThis.store.logIn(place, userId, length),
      [
        place,
        userId,
        length
      ] as const
    )
  const logInAnew = (page: Page, place: Place, userId: string) =>
    page.evaluate(([place, userId]) => globalThis.store.logInAnew(place, userId), [place, userId] as const)
  const logOut = (page: Page | Frame, place: Place, userId: string) =>
    page.evaluate(([place, userId]) => globalThis.store.logOut(place, userId), [place, userId] as const)
  const state = (page: Page | Frame, place: Place, userId: string) =>
    page.evaluate(([place, userId]) => globalThis.store.state(place, userId), [place, userId] as const)

  law(
    "loses no change of several tabs that write at once, and close their stores in between",
    async (context, place) => {
      const pages = await Promise.all(Array.from({ length: 4 }, () => open(context)))
      const write = async (page: Page, index: number) => {
        const numbers = []
        for (let round = 0; round < 2; round++) {
          const answer = await page.evaluate(
            ([place, name]) => globalThis.store.logInMany(place, name, 12),
            [place, `${index} ${round}`] as const
          )
          numbers.push(..."value" in answer ? answer.value : [])
        }
        return numbers
      }
      const numbers = new Set((await Promise.all(pages.map(write))).flat())
      assert.deepStrictEqual([numbers.size, Math.max(...[...numbers].map(Number))], [96, 96])
      // Whoever only reads does not wait for what a tab that is gone has written; it arrives all the same.
      for (const page of pages) {
        await page.waitForFunction(async ([place, userId]) => {
          const answer = await globalThis.store.state(place, userId)
          return "value" in answer && answer.value === "in"
        }, [place, "3 1: 11"] as const)
      }
    }
  )

  it.live("keeps its sessions encrypted, and reads them when it is loaded anew", () =>
    Effect.flatMap(Chromium.newContext(browser), (context) =>
      Effect.promise(async () => {
        const page = await open(context)
        assert.deepStrictEqual(await logIn(page, "encrypted", "ann"), { value: true })
        const kept = await page.evaluate(() => Object.values({ ...localStorage }).join("\n"))
        assert.include(kept, "keyId")
        assert.notMatch(kept, /access|refresh|customData/)
        await page.reload()
        assert.deepStrictEqual(await state(await ready(page), "encrypted", "ann"), { value: "in" })
        // Without the key it is left alone.
        const plain = await logIn(page, "localStorage", "ann")
        failed(plain, "KeyMissing", /was not given/)
        assert.deepStrictEqual(await state(page, "encrypted", "ann"), { value: "in" })
      })))

  law("fails typed, and says what to do, where the browser lets it keep nothing", async (context, place) => {
    const page = await open(context)
    await page.evaluate(() => {
      const frame = document.createElement("iframe")
      frame.setAttribute("sandbox", "allow-scripts")
      frame.src = "/"
      document.body.append(frame)
    })
    await page.waitForSelector("iframe")
    const frame = await ready(page.frames().find((frame) => frame !== page.mainFrame())!)
    failed(await logIn(frame, place, "ann"), "Misconfigured", /may not use .*settings.*sandboxed.*layerMemory/)
  })

  law("leaves alone what a newer version has written, and says so", async (context, place) => {
    const page = await open(context)
    // A tab of the present version, which must not keep the newer one waiting.
    const old = await open(context)
    void old.evaluate((place) => globalThis.store.states(place), place).catch(() => undefined)
    await old.waitForFunction(() => globalThis.told.length === 1)
    await page.evaluate(async (place) => {
      if (place === "localStorage") {
        localStorage.setItem("effect-realm:\"shop\"", "{\"version\":7,\"all\":\"else\"}")
        return
      }
      await new Promise((resolve, reject) => {
        const request = indexedDB.open("effect-realm", 7)
        request.addEventListener("error", reject)
        request.addEventListener("success", () => {
          request.result.close()
          resolve(undefined)
        })
      })
    }, place)
    failed(await logIn(page, place, "ann"), "NewerVersion", /version 7.*Update/)
    const left = await page.evaluate(async () => [
      localStorage.getItem("effect-realm:\"shop\""),
      (await indexedDB.databases())[0]?.version
    ])
    assert.deepStrictEqual(
      left,
      place === "localStorage" ? ["{\"version\":7,\"all\":\"else\"}", undefined] : [null, 7]
    )
  })

  it.live("lets an item that somebody else has written cost one user, or one app, and says so: localStorage", () =>
    Effect.flatMap(Chromium.newContext(browser), (context) =>
      Effect.promise(async () => {
        const place = "localStorage"
        const page = await open(context)
        await logIn(page, place, "ann")
        await logIn(page, place, "bob")
        const spoil = (item: string) => page.evaluate((item) => localStorage.setItem(item, "<html>"), item)
        await spoil("effect-realm:\"shop\":user:ann")
        failed(await state(page, place, "ann"), "Damaged", /Log in again/)
        assert.deepStrictEqual(await state(page, place, "bob"), { value: "in" })
        assert.deepStrictEqual(await logInAnew(page, place, "ann"), { value: true })
        assert.deepStrictEqual(await state(page, place, "ann"), { value: "in" })
        await spoil("effect-realm:\"shop\"")
        failed(await logInAnew(page, place, "ann"), "Damaged", /or delete it/)
        assert.strictEqual(await page.evaluate(() => localStorage.getItem("effect-realm:\"shop\"")), "<html>")
      })))

  law("fails typed when there is no more room, keeps what was there, and still logs out", async (context, place) => {
    const page = await open(context)
    const devTools = await context.newCDPSession(page)
    await devTools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 5_000_000 })
    assert.deepStrictEqual(await logIn(page, place, "ann"), { value: true })
    if (place === "localStorage") {
      // To the last character.
      await page.evaluate(() => {
        for (let size = 4_000_000; size >= 1; size = Math.floor(size / 2)) {
          try {
            for (let index = 0;; index++) localStorage.setItem(`${size} ${index}`, "x".repeat(size))
          } catch {
            // The next smaller ones fill what is left.
          }
        }
      })
    }
    failed(await logIn(page, place, "bob", 20_000_000), "Unavailable", /no more room/)
    assert.deepStrictEqual(await state(page, place, "ann"), { value: "in" })
    assert.deepStrictEqual(await state(page, place, "bob"), { value: "none" })
    assert.deepStrictEqual(await logOut(page, place, "ann"), { value: true })
    assert.deepStrictEqual(await state(page, place, "ann"), { value: "out" })
  })

  law("begins anew when the data of the site are deleted, and says so to who listens", async (context, place) => {
    const page = await open(context)
    for (let times = 0; times < 3; times++) await logIn(page, place, "ann")
    const states = page.evaluate((place) => globalThis.store.states(place), place)
    await page.waitForFunction(() => globalThis.told.length === 1)
    const devTools = await context.newCDPSession(page)
    await devTools.send("Storage.clearDataForOrigin", { origin, storageTypes: "local_storage,indexeddb" })
    await page.waitForFunction(() => localStorage.length === 0)
    assert.deepStrictEqual(await logIn(page, place, "bob"), { value: true })
    assert.deepStrictEqual(await states, { value: undefined })
    assert.deepStrictEqual(await page.evaluate(() => globalThis.told), ["Snapshot", "Snapshot"])
    assert.deepStrictEqual(await state(page, place, "ann"), { value: "none" })
    assert.deepStrictEqual(await state(page, place, "bob"), { value: "in" })
  })
})
