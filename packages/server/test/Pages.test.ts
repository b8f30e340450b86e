/** What pages in a real browser do with the server, whose origin is another: the client library, and realm-web as published. */
import { AppDefinition, Database, Listener } from "@effect-realm/server"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { Browser, Page } from "playwright-core"
import * as Chromium from "../../client/test/support/chromium.ts"
import * as Issuer from "./support/issuer.ts"

const definition = (origin: string, allowedRequestOrigins: ReadonlyArray<string>) =>
  AppDefinition.make({
    appId: "shop-abcde",
    allowedRequestOrigins,
    authProviders: {
      anonymous: {},
      emailPassword: { autoConfirm: true },
      google: { clientId: Issuer.client.id, clientSecret: "clientSecret", redirectUris: [`${origin}/signed-in`] }
    },
    secrets: { clientSecret: Redacted.make(Issuer.client.secret) },
    functions: [
      { name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" },
      { name: "whoami", source: "exports = () => context.user.id" }
    ],
    dataSources: [{
      collections: [{
        database: "shop",
        collection: "orders",
        roles: [{ name: "everybody", applyWhen: {}, read: true, write: true, insert: true }]
      }]
    }]
  })

interface Stage {
  readonly page: Page
  readonly origin: string
  readonly baseUrl: string
  readonly issuer: Issuer.Issuer
}

interface Site {
  readonly browser: Browser
  readonly origin: string
}

/** A site of this script, and a browser to visit it. */
const makeSite = (script: string): Effect.Effect<Site, never, Scope.Scope> =>
  Effect.gen(function*() {
    const bundle = yield* Chromium.bundle(new URL(`pages/${script}.ts`, import.meta.url).href)
    return { browser: yield* Chromium.launch, origin: yield* Chromium.serve(bundle) }
  })

/** A page, a server and a provider, each of an origin of its own. */
const onStage = (
  { browser, origin }: Site,
  use: (stage: Stage) => Promise<void>,
  allowedRequestOrigins: ReadonlyArray<string>
): Effect.Effect<void, Listener.ListenError | Database.DatabaseError, Scope.Scope> =>
  Effect.gen(function*() {
    const issuer = yield* Issuer.make({ requiresPkce: true })
    issuer.accounts.set("ann", { name: "Ann", email: "ann@shop.example", email_verified: true })
    yield* TestClock.setTime(yield* TestClock.withLive(Effect.clockWith((clock) => clock.currentTimeMillis)))
    const server = Listener.layer({
      app: definition(origin, allowedRequestOrigins),
      passwords: { cost: 2 },
      functions: { workers: 1 },
      issuers: { google: issuer.url }
    })
    yield* Effect.gen(function*() {
      const baseUrl = yield* Listener.origin
      issuer.client.redirectUri = `${baseUrl}/api/client/v2.0/auth/callback`
      const context = yield* Chromium.newContext(browser)
      yield* Effect.promise(async () => {
        const page = await context.newPage()
        await page.goto(origin)
        await ready(page)
        await use({ page, origin, baseUrl, issuer })
      })
    }).pipe(Effect.provide(Layer.provideMerge(server, Database.layerMemory)))
  }).pipe(Effect.provide(FetchHttpClient.layer))

const ready = (page: Page) => page.waitForFunction(() => "client" in globalThis || "realmWeb" in globalThis)

/** Registers tests of a page, which is of an origin that the app lists unless told otherwise. */
const testsOf = (script: string) => {
  const scope = Scope.makeUnsafe()
  let site: Site
  beforeAll(async () => {
    site = await Effect.runPromise(Scope.provide(makeSite(script), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  return (
    sentence: string,
    use: (stage: Stage) => Promise<void>,
    allowedRequestOrigins?: ReadonlyArray<string>
  ): void => it.effect(sentence, () => onStage(site, use, allowedRequestOrigins ?? [site.origin]))
}

/** Waits for the page to come back from the provider's, and answers what it has come to. */
const cameBack = async ({ origin, page }: Stage) => {
  await page.waitForURL(`${origin}/signed-in`)
  await ready(page)
  return page.evaluate(() => globalThis.client.cameBack)
}

describe.skipIf(!Chromium.isInstalled)("A page of the client", () => {
  const test = testsOf("client")

  test("lives a user's life over fetch: registered, logged in, refreshed, calling, refused, logged out", async ({ baseUrl, page }) => {
    assert.deepStrictEqual(await page.evaluate((baseUrl) => globalThis.client.live(baseUrl), baseUrl), {
      value: [3, "LoggedOut"]
    })
    assert.deepStrictEqual(await page.evaluate((baseUrl) => globalThis.client.wrongPassword(baseUrl), baseUrl), {
      error: "AuthError InvalidPassword"
    })
  })

  test("watches a collection over fetch", async ({ baseUrl, page }) => {
    await page.evaluate((baseUrl) => globalThis.client.anonymous(baseUrl), baseUrl)
    assert.deepStrictEqual(await page.evaluate((baseUrl) => globalThis.client.watch(baseUrl), baseUrl), {
      value: [{ _id: 1, total: 3 }, { _id: 2, total: 30 }]
    })
  })

  test("logs in by way of the provider's page, and stays so when it is loaded anew", async (stage) => {
    const { baseUrl, page } = stage
    await page.evaluate((baseUrl) => void globalThis.client.leaveToLogIn(baseUrl), baseUrl)
    const answer = await cameBack(stage)
    assert.isTrue(answer !== undefined && "value" in answer, JSON.stringify(answer))
    const value = answer !== undefined && "value" in answer ? answer.value : undefined
    assert.strictEqual(value?.toServer, value?.toPage)
    assert.deepStrictEqual(value?.providers, ["oauth2-google"])
    assert.strictEqual(page.url(), `${stage.origin}/signed-in`)
    await page.reload()
    await ready(page)
    assert.deepStrictEqual(await page.evaluate((baseUrl) => globalThis.client.current(baseUrl), baseUrl), answer)
  })

  test("links by way of the provider's page, with the cookie of the request that asked", async (stage) => {
    const { baseUrl, page } = stage
    const guest = await page.evaluate((baseUrl) => globalThis.client.anonymous(baseUrl), baseUrl)
    await page.evaluate((baseUrl) => void globalThis.client.leaveToLink(baseUrl), baseUrl)
    const answer = await cameBack(stage)
    assert.isTrue("value" in guest)
    assert.deepStrictEqual(
      answer,
      "value" in guest ? { value: { ...guest.value, providers: ["anon-user", "oauth2-google"] } } : undefined
    )
  })

  test("is told why it may link nobody where the app lists no origins", async ({ baseUrl, page }) => {
    await page.evaluate((baseUrl) => globalThis.client.anonymous(baseUrl), baseUrl)
    assert.deepStrictEqual(await page.evaluate((baseUrl) => globalThis.client.leaveToLink(baseUrl), baseUrl), {
      error: "RequestError Forbidden"
    })
  }, [])

  test("is told typed when its visitor gives no permission, and logs nobody in", async (stage) => {
    const { baseUrl, issuer, page } = stage
    issuer.user.sub = ""
    await page.evaluate((baseUrl) => void globalThis.client.leaveToLogIn(baseUrl), baseUrl)
    assert.deepStrictEqual(await cameBack(stage), { error: "AuthError AuthError" })
  })
})

describe.skipIf(!Chromium.isInstalled)("A page of realm-web", () => {
  const test = testsOf("realmWeb")

  test("logs in by way of the provider's page in a window, and stays so when it is loaded anew", async ({ baseUrl, page }) => {
    const user = await page.evaluate((baseUrl) => globalThis.realmWeb.logIn(baseUrl), baseUrl)
    assert.strictEqual(user.whoami, user.id)
    assert.strictEqual(user.name, "Ann")
    await page.reload()
    await ready(page)
    assert.strictEqual(await page.evaluate(() => globalThis.realmWeb.current()), user.id)
    assert.strictEqual(page.context().pages().length, 1, "the window is closed")
  })

  test("hands its user over to the client, who is logged in there too", async ({ baseUrl, page }) => {
    const user = await page.evaluate((baseUrl) => globalThis.realmWeb.logIn(baseUrl), baseUrl)
    await page.reload()
    await ready(page)
    assert.strictEqual(await page.evaluate((baseUrl) => globalThis.realmWeb.takeOver(baseUrl), baseUrl), user.id)
  })

  test("links by way of the provider's page in a window", async ({ baseUrl, page }) => {
    assert.deepStrictEqual(
      await page.evaluate((baseUrl) => globalThis.realmWeb.link(baseUrl), baseUrl),
      ["anon-user", "oauth2-google"]
    )
  })
})
