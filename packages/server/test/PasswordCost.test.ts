/** In a file of its own: it counts what the whole process does. */
import { Accounts, Mail } from "@effect-realm/server"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHook } from "node:async_hooks"
import * as Wire from "./support/wire.ts"

/** How many password hashes Node.js makes meanwhile, whoever asks for them. */
const hashes = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
  Effect.suspend(() => {
    let made = 0
    const hook = createHook({
      init: (_, type) => {
        if (type === "SCRYPTREQUEST") made++
      }
    })
    hook.enable()
    return effect.pipe(
      Effect.map((answer) => [made, answer] as const),
      Effect.ensuring(Effect.sync(() => hook.disable()))
    )
  })

const app = Wire.makeApp({
  authProviders: {
    emailPassword: {
      emailConfirmationUrl: "https://shop.example/confirm",
      resetPasswordUrl: "https://shop.example/reset"
    }
  }
})

it.effect("a log-in costs one hash, whether the address exists, is confirmed, and its user is disabled or not", () =>
  Effect.gen(function*() {
    const confirmed = Effect.fnUntraced(function*(email: string) {
      yield* Wire.register(email)
      const [mail] = (yield* Mail.Outbox.use((outbox) => outbox.sent)).slice(-1)
      const { searchParams } = new URL(/^\S+:\/\/\S+$/m.exec(mail?.text ?? "")?.[0] ?? "")
      yield* Wire.send("POST", `${Wire.providers}/local-userpass/confirm`, { body: Object.fromEntries(searchParams) })
      return yield* Effect.flatMap(Wire.logInEmail(email), Wire.tokens)
    })
    yield* confirmed("ann@example.com")
    const bob = yield* confirmed("bob@example.com")
    yield* Accounts.Accounts.use((accounts) => accounts.setDisabled(bob.user_id, true))
    yield* Wire.register("eve@example.com")
    const answers = {
      "nobody@example.com": [401, "InvalidPassword"],
      "ann@example.com": [200, undefined],
      "bob@example.com": [401, "UserDisabled"],
      "eve@example.com": [401, "AuthError"]
    }
    for (const [email, right] of Object.entries(answers)) {
      const [made, answer] = yield* hashes(Wire.logInEmail(email))
      assert.deepStrictEqual([answer.status, answer.fields["error_code"]], right, email)
      assert.strictEqual(made, 1, email)
      const [madeForWrong, wrong] = yield* hashes(Wire.logInEmail(email, "wrong horse"))
      assert.deepStrictEqual(Wire.refusal(wrong), [401, "InvalidPassword", "unauthorized"], email)
      assert.strictEqual(madeForWrong, 1, email)
    }
  }).pipe(Effect.provide(Wire.layer({ app }))))
