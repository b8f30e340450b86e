/** What holds among the tabs of a real browser that share a place, some of which are closed or crash. */
import { AppDefinition, Database, Listener } from "@effect-realm/server"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { Browser, BrowserContext, Page } from "playwright-core"
import * as Chromium from "../../client/test/support/chromium.ts"
import type { Options, Place } from "./browser/tab.ts"
import type { Command } from "./processes/commands.ts"

const definition = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: { anonymous: {} },
  functions: [
    { name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" },
    { name: "whoami", source: "exports = () => context.user.id" }
  ]
})

interface Tab {
  readonly page: Page
  readonly ask: (command: Command) => Promise<unknown>
}

/** Exchanges that wait on their way to the server. */
interface Held {
  readonly sent: Promise<void>
  readonly letGo: () => void
}

interface Stage {
  readonly context: BrowserContext
  readonly open: () => Promise<Tab>
  /** Lets all access tokens run out, by the clock of the server. */
  readonly expire: Effect.Effect<void>
  /** How many exchanges were sent since the last `expire`. */
  readonly exchanges: () => number
  readonly holdNextExchanges: (count: number) => Promise<Held>
}

const run = <A>(promise: () => Promise<A>): Effect.Effect<A> => Effect.promise(promise)

const ready = async (page: Page): Promise<Tab> => {
  await page.waitForFunction(() => "ask" in globalThis)
  return { page, ask: (command) => page.evaluate((command) => globalThis.ask(command), command) }
}

const isExchange = (url: URL): boolean => url.pathname.endsWith("/auth/session")

/** A browser of one's own, and a server of another origin than its pages. */
const onStage = <A, E>(
  place: Place,
  { browser, origin }: { readonly browser: Browser; readonly origin: string },
  use: (stage: Stage) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(yield* TestClock.withLive(Effect.clockWith((clock) => clock.currentTimeMillis)))
    const options: Options = { place, baseUrl: yield* Listener.origin }
    const context = yield* Chromium.newContext(browser)
    let exchanges = 0
    context.on("request", (request) => {
      if (request.method() === "POST" && isExchange(new URL(request.url()))) exchanges++
    })
    return yield* use({
      context,
      open: async () => {
        const page = await context.newPage()
        await page.goto(`${origin}/#${encodeURIComponent(JSON.stringify(options))}`)
        return ready(page)
      },
      expire: Effect.andThen(
        TestClock.adjust("31 minutes"),
        Effect.sync(() => exchanges = 0)
      ),
      exchanges: () => exchanges,
      holdNextExchanges: async (count) => {
        const sent = Promise.withResolvers<void>()
        const gate = Promise.withResolvers<void>()
        let left = count
        await context.route(isExchange, async (route) => {
          if (--left === 0) sent.resolve()
          await gate.promise
          // The tab that sent it may be gone.
          await route.continue().catch(() => undefined)
        }, { times: count })
        return { sent: sent.promise, letGo: gate.resolve }
      }
    })
  }).pipe(
    Effect.provide(
      Layer.provideMerge(Listener.layer({ app: definition, functions: { workers: 1 } }), Database.layerMemory)
    )
  )

const openTabs = (stage: Stage, count: number) =>
  run(() => Promise.all(Array.from({ length: count }, () => stage.open())))

const all = <A>(tabs: ReadonlyArray<Tab>, use: (tab: Tab) => Promise<A>): Effect.Effect<Array<A>> =>
  run(() => Promise.all(tabs.map(use)))

const logIn = (tab: Tab): Effect.Effect<string> => Effect.map(run(() => tab.ask({ _tag: "LogIn" })), String)

const crash = async ({ page }: Tab): Promise<void> => {
  const crashed = page.waitForEvent("crash")
  const devTools = await page.context().newCDPSession(page)
  void devTools.send("Page.crash").catch(() => undefined)
  await crashed
  await page.close()
}

// How many leases each tab holds that is closed or crashes.
const holdings = 10

const places: ReadonlyArray<Place> = ["IndexedDB", "IndexedDB without Web Locks", "localStorage"]

describe.skipIf(!Chromium.isInstalled)("Tabs", { concurrent: false }, () => {
  const scope = Scope.makeUnsafe()
  let site: { readonly browser: Browser; readonly origin: string }
  beforeAll(async () => {
    const open = Effect.gen(function*() {
      const script = yield* Chromium.bundle(new URL("browser/tab.ts", import.meta.url).href)
      return { browser: yield* Chromium.launch, origin: yield* Chromium.serve(script) }
    })
    site = await Effect.runPromise(Scope.provide(open, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  describe.each(places)("that share %s", (place) => {
    const law = <A, E>(sentence: string, test: (stage: Stage) => Effect.Effect<A, E, Scope.Scope>): void =>
      it.effect(sentence, () => onStage(place, site, test))

    law("exchange an expired token once, five of them with 20 calls each", (stage) =>
      Effect.gen(function*() {
        const tabs = yield* openTabs(stage, 5)
        const userId = yield* logIn(tabs[0]!)
        for (let round = 0; round < 3; round++) {
          yield* stage.expire
          const answers = yield* all(tabs, (tab) => tab.ask({ _tag: "Call", userId, times: 20 }))
          assert.deepStrictEqual(new Set(answers.flat()), new Set(["ok"]))
          assert.strictEqual(stage.exchanges(), 1)
        }
      }))

    law("are all logged out by one of them, also while another exchanges the token", (stage) =>
      Effect.gen(function*() {
        const tabs = yield* openTabs(stage, 3)
        const userId = yield* logIn(tabs[0]!)
        yield* stage.expire
        const held = yield* run(() => stage.holdNextExchanges(1))
        const calls = tabs.slice(0, 2).map((tab) => tab.ask({ _tag: "Call", userId, times: 5 }))
        yield* run(() => held.sent)
        assert.strictEqual(yield* run(() => tabs[2]!.ask({ _tag: "LogOut", userId })), "ok")
        assert.deepStrictEqual(yield* all(tabs, (tab) => tab.ask({ _tag: "Look", userId })), ["out", "out", "out"])
        held.letGo()
        assert.notInclude((yield* run(() => Promise.all(calls))).flat(), "ok")
        assert.deepStrictEqual(yield* all(tabs, (tab) => tab.ask({ _tag: "Look", userId })), ["out", "out", "out"])
        const later = yield* all(tabs, (tab) => tab.ask({ _tag: "Call", userId, times: 1 }))
        assert.deepStrictEqual(later.flat(), ["LoggedOut", "LoggedOut", "LoggedOut"])
      }))

    law(
      "act as who they say they do while one of them logs in as one user after the other",
      (stage) =>
        Effect.gen(function*() {
          const tabs = yield* openTabs(stage, 4)
          const [first, ...others] = tabs
          const userIds = new Set([yield* logIn(first!)])
          const acting = all(others, (tab) => tab.ask({ _tag: "WhoAmI", times: 40 }))
          const loggingIn = Effect.repeat(
            Effect.tap(logIn(first!), (userId) => Effect.sync(() => userIds.add(userId))),
            { times: 7 }
          )
          const [answers] = yield* Effect.all([acting, loggingIn], { concurrency: "unbounded" })
          const pairs = answers.flatMap((answer) => {
            assert.isArray(answer)
            return answer as ReadonlyArray<readonly [known: string, toServer: string]>
          })
          assert.strictEqual(pairs.length, 120)
          for (const [known, toServer] of pairs) {
            assert.strictEqual(toServer, known)
            assert.isTrue(userIds.has(known))
          }
          const last = yield* all(tabs, (tab) => tab.ask({ _tag: "WhoAmI", times: 1 }))
          assert.deepStrictEqual(new Set(last.flat(2)), new Set([[...userIds].at(-1)]))
        })
    )

    // A lease in the database lasts for ten seconds more.
    const kills = place === "IndexedDB without Web Locks" ? 1 : 10

    law(
      `go on when ${kills * holdings} holders of a lease are closed, or crash, at any moment, and nobody is logged out`,
      (stage) =>
        Effect.gen(function*() {
          const tabs = yield* openTabs(stage, 2)
          const userIds = yield* Effect.replicateEffect(logIn(tabs[0]!), holdings)
          const call = (tab: Tab) => Promise.all(userIds.map((userId) => tab.ask({ _tag: "Call", userId, times: 2 })))
          const look = (tab: Tab) => Promise.all(userIds.map((userId) => tab.ask({ _tag: "Look", userId })))
          for (let round = 0; round < kills; round++) {
            const victim = yield* run(() => stage.open())
            yield* stage.expire
            // The first ones while all their exchanges are on their way for certain.
            const held = round < 2 ? yield* run(() => stage.holdNextExchanges(holdings)) : undefined
            const begun = held?.sent ?? stage.context.waitForEvent("request")
            void call(victim).catch(() => undefined)
            yield* run(async () => begun)
            const calls = Promise.all(tabs.map(call))
            if (held === undefined) yield* TestClock.withLive(Effect.sleep(120 * Math.random()))
            yield* run(() => round % 2 === 0 ? crash(victim) : victim.page.close())
            const answers = yield* run(() => calls)
            held?.letGo()
            assert.deepStrictEqual(new Set(answers.flat(2)), new Set(["ok"]))
            if (held !== undefined) assert.strictEqual(stage.exchanges(), 2 * holdings)
            const [looks, others] = yield* all(tabs, look)
            for (const found of looks!) assert.match(String(found), /^in /)
            assert.deepStrictEqual(others, looks)
          }
        })
    )

    law("are told of every change, each once and in order", (stage) =>
      Effect.gen(function*() {
        const tabs = yield* openTabs(stage, 4)
        const userIds = yield* Effect.forEach(tabs, logIn, { concurrency: "unbounded" })
        yield* stage.expire
        yield* all(tabs, (tab) => Promise.all(userIds.map((userId) => tab.ask({ _tag: "Call", userId, times: 2 }))))
        yield* Effect.forEach(tabs, (tab, index) => run(() => tab.ask({ _tag: "LogOut", userId: userIds[index]! })), {
          concurrency: "unbounded"
        })
        const kinds = ["LoggedIn", "AccessTokenRefreshed", "LoggedOut"]
        const events = yield* Effect.forEach(tabs, (tab) =>
          Effect.repeat(run(() => tab.ask({ _tag: "Told" })), {
            until: (told) => Array.isArray(told) && told.length > kinds.length * tabs.length,
            schedule: Schedule.spaced("20 millis")
          }).pipe(TestClock.withLive, Effect.map((told) => told as Array<string>)))
        for (const [snapshot, ...told] of events) {
          assert.strictEqual(snapshot, "Snapshot")
          assert.deepStrictEqual(told, events[0]!.slice(1))
          const numbers = told.map((event) => Number.parseInt(event))
          assert.deepStrictEqual(numbers, [...new Set(numbers)].toSorted((a, b) => a - b))
          assert.deepStrictEqual(
            told.map((event) => event.split(" ")[1]).toSorted(),
            kinds.flatMap((kind) => tabs.map(() => kind)).toSorted()
          )
        }
      }))

    law(
      "find their users after they are loaded anew, also before there is a network",
      (stage) =>
        Effect.gen(function*() {
          const tab = yield* run(() => stage.open())
          const userId = yield* logIn(tab)
          const before = yield* run(() => tab.ask({ _tag: "Look", userId }))
          yield* run(() => tab.page.reload())
          yield* run(() => ready(tab.page))
          yield* run(() => stage.context.setOffline(true))
          assert.strictEqual(yield* run(() => tab.ask({ _tag: "Look", userId })), before)
          assert.deepStrictEqual(yield* run(() => tab.ask({ _tag: "Call", userId, times: 1 })), ["Unreachable"])
          yield* run(() => stage.context.setOffline(false))
          assert.deepStrictEqual(yield* run(() => tab.ask({ _tag: "Call", userId, times: 1 })), ["ok"])
          yield* run(() => tab.page.close())
          const next = yield* run(() => stage.open())
          assert.strictEqual(yield* run(() => next.ask({ _tag: "Look", userId })), before)
        })
    )
  })
})
