/**
 * Clients that go at any moment of a request: what they asked for has happened or has not, and whoever asks again is served.
 */
import { Mail, Sessions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Wire from "./support/wire.ts"

const app = Wire.makeApp({
  authProviders: {
    anonymous: {},
    apiKey: {},
    customFunction: { authFunctionName: "authenticate" },
    emailPassword: {
      emailConfirmationUrl: "https://shop.example/confirm",
      resetPasswordUrl: "https://shop.example/reset"
    }
  }
})

const turns = (count: number) => Effect.repeat(Effect.yieldNow, { times: count })

/** In steps of what else runs: a request takes up to some forty. */
const moments = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40]

/** Sends a request and goes after so many steps. What goes on without its client has time to. */
const leaving = <A>(request: Effect.Effect<A, never, HttpClient.HttpClient>, after: number) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(request, { startImmediately: true })
    yield* turns(after)
    yield* Fiber.interrupt(fiber)
    yield* turns(200)
  })

const post = (path: string, body: object) => Wire.send("POST", `${Wire.providers}/local-userpass/${path}`, { body })

const mails = Mail.Outbox.use((outbox) => outbox.sent)

const lastLink = Effect.map(mails, (mails) => {
  const { searchParams } = new URL(/^https:\S+$/m.exec(mails.at(-1)?.text ?? "")?.[0] ?? "https://shop.example")
  return { token: searchParams.get("token") ?? "", tokenId: searchParams.get("tokenId") ?? "" }
})

describe("a client that goes at any moment", () => {
  const eachMoment = <E, R>(use: (after: number, name: string) => Effect.Effect<void, E, R>) =>
    Effect.provide(
      Effect.forEach(moments, (after) => use(after, `after ${after}`), { discard: true }),
      Wire.layer({ app }, Wire.interleaving)
    )

  it.effect("of a registration has it with its mail, or leaves the address free", () =>
    eachMoment((after, name) =>
      Effect.gen(function*() {
        const email = `ann-${after}@example.com`
        const before = (yield* mails).length
        yield* leaving(Wire.register(email), after)
        const sent = (yield* mails).length - before
        assert.strictEqual((yield* Wire.register(email)).status, sent === 1 ? 409 : 201, name)
        assert.strictEqual((yield* post("confirm", yield* lastLink)).status, 204, name)
        assert.strictEqual((yield* Wire.logInEmail(email)).status, 200, name)
      })
    ))

  it.effect("of a confirmation or a reset has spent its link for it, or not", () =>
    eachMoment((after, name) =>
      Effect.gen(function*() {
        const email = `bob-${after}@example.com`
        yield* Wire.register(email)
        const confirmation = yield* lastLink
        yield* leaving(post("confirm", confirmation), after)
        const isConfirmed = (yield* Wire.logInEmail(email)).status === 200
        assert.strictEqual((yield* post("confirm", confirmation)).status, isConfirmed ? 400 : 204, name)

        yield* post("reset/send", { email })
        const reset = yield* lastLink
        yield* leaving(post("reset", { ...reset, password: "another horse" }), after)
        const isReset = (yield* Wire.logInEmail(email, "another horse")).status === 200
        assert.strictEqual((yield* Wire.logInEmail(email)).status, isReset ? 401 : 200, name)
        assert.strictEqual(
          (yield* post("reset", { ...reset, password: "third horse" })).status,
          isReset ? 400 : 204,
          name
        )
      })
    ))

  it.effect("of a first log-in, a link, or an order about keys leaves one user, whom all of it is about", () =>
    eachMoment((after, name) =>
      Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        yield* leaving(Wire.logInFunction(`eve-${after}`), after)
        const eve = yield* Effect.flatMap(Wire.logInFunction(`eve-${after}`), Wire.tokens)

        yield* leaving(Wire.logInFunction(`too-${after}`, { token: eve.access_token }), after)
        const linked = yield* Wire.logInFunction(`too-${after}`, { token: eve.access_token })
        assert.strictEqual(linked.fields["user_id"], eve.user_id, name)

        yield* leaving(Wire.createKey(eve.refresh_token, "first"), after)
        const again = yield* Wire.createKey(eve.refresh_token, "first")
        assert.include([201, 409], again.status, name)
        const { _id, key } = yield* Wire.newKey(eve.refresh_token, "second")
        yield* leaving(Wire.keyRequest("PUT", eve.refresh_token, `${_id}/disable`), after)
        const isDisabled = (yield* Wire.keyRequest("GET", eve.refresh_token, _id)).fields["disabled"] === true
        assert.strictEqual((yield* Wire.logInKey(key)).status, isDisabled ? 401 : 200, name)

        yield* leaving(Wire.send("DELETE", `${Wire.base}/auth/delete`, { token: eve.access_token }), after)
        const isGone = (yield* Wire.profile(eve.access_token)).status === 401
        if (isGone) assert.deepStrictEqual(yield* sessions.list(eve.user_id), [], name)
        assert.strictEqual((yield* Wire.logInKey(key)).status, isDisabled || isGone ? 401 : 200, name)
        assert.strictEqual((yield* Wire.logInFunction(`eve-${after}`)).fields["user_id"] === eve.user_id, !isGone, name)
      })
    ))
})
