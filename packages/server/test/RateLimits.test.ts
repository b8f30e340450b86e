import {
  AppDefinition,
  type AuthProvider,
  Database,
  EmailAccounts,
  Mail,
  Password,
  RateLimits
} from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as ExpiringTable from "../src/internal/expiringTable.ts"
import * as Attempts from "../src/internal/http/attempts.ts"
import * as ClientAddress from "../src/internal/http/clientAddress.ts"
import * as Wire from "./support/wire.ts"

const path = `${Wire.providers}/local-userpass`

const email = "ann@example.com"

/** A request that one proxy has passed on. */
const from = (address: string): Wire.Sent => ({ headers: { "x-forwarded-for": address } })

const logIn = (address: string, password = "correct horse", account = email) =>
  Wire.send("POST", `${path}/login`, { ...from(address), body: { username: account, password } })

const post = (address: string, name: string, body: object) =>
  Wire.send("POST", `${path}/${name}`, { ...from(address), body })

const statuses = (answers: ReadonlyArray<Wire.Answer>) => answers.map(({ status }) => status)

const wrong = (address: string, times: number, account = email) =>
  Effect.map(Effect.replicateEffect(logIn(address, "wrong horse", account), times), statuses)

const times = <A>(count: number, value: A): ReadonlyArray<A> => Array.from({ length: count }, () => value)

const home = "192.0.2.1"
const elsewhere = "198.51.100.7"

const serving = (
  limits: RateLimits.Options = {},
  emailPassword: Partial<AuthProvider.EmailPassword> = {},
  database?: Layer.Layer<Database.Database>
) =>
  Wire.layer({
    app: AppDefinition.make({
      appId: Wire.appId,
      authProviders: {
        emailPassword: {
          emailConfirmationUrl: "https://shop.example/confirm",
          resetPasswordUrl: "https://shop.example/reset",
          ...emailPassword
        }
      }
    }),
    limits,
    proxies: 1
  }, database)

const automatic = { autoConfirm: true }

describe("log-ins", () => {
  it.effect("with wrong passwords are refused for a while, for this account from this place", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      yield* Wire.register("bob@example.com")
      assert.deepStrictEqual(yield* wrong(home, 12), [...times(10, 401), 429, 429])

      // Neither does the right password help now: guesses that come out right are guesses.
      const refused = yield* logIn(home)
      assert.deepStrictEqual(
        [Wire.refusal(refused), refused.headers["retry-after"]],
        [[429, undefined, "too many attempts: try again in 90 seconds"], "90"]
      )
      assert.strictEqual((yield* logIn(elsewhere)).status, 200)
      assert.strictEqual((yield* logIn(home, "correct horse", "bob@example.com")).status, 200)

      yield* TestClock.adjust("89 seconds")
      assert.strictEqual((yield* logIn(home)).headers["retry-after"], "1")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* logIn(home)).status, 200)
      assert.deepStrictEqual(yield* wrong(home, 2), [401, 429])
      yield* TestClock.adjust("15 minutes")
      assert.deepStrictEqual(yield* wrong(home, 11), [...times(10, 401), 429])
    }).pipe(Effect.provide(serving({}, automatic))))

  it.effect("are limited alike whether there is such an account", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      const answers = (account: string) =>
        Effect.map(
          Effect.replicateEffect(logIn(home, "wrong horse", account), 12),
          (all) => all.map((answer) => [Wire.refusal(answer), answer.headers["retry-after"]])
        )
      assert.deepStrictEqual(yield* answers(email), yield* answers("nobody@example.com"))
    }).pipe(Effect.provide(serving({}, automatic))))

  it.effect("of an account from many places are refused to strangers, and not to whoever has logged in from there", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      assert.strictEqual((yield* logIn(home)).status, 200)
      const places = Array.from({ length: 12 }, (_, index) => `203.0.113.${index}`)
      const guesses = yield* Effect.forEach(places, (place) => logIn(place, "wrong horse"))
      assert.deepStrictEqual(statuses(guesses), [...times(10, 401), 429, 429])
      assert.strictEqual((yield* logIn(elsewhere)).status, 429)
      assert.strictEqual((yield* logIn(home)).status, 200)
      // One guess comes back every six minutes, whoever gets it.
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual((yield* logIn(elsewhere)).status, 200)
      yield* TestClock.adjust("31 days")
    }).pipe(Effect.provide(serving({ failuresPerAccount: { limit: 10, window: "1 hour" } }, automatic))))

  it.effect("from one place are refused after many failures, whatever the account, and never for their successes", () =>
    Effect.gen(function*() {
      const accounts = Array.from({ length: 20 }, (_, index) => `user-${index}@example.com`)
      for (const account of accounts) yield* Wire.register(account)
      const all = yield* Effect.forEach(accounts, (account) => logIn(home, "correct horse", account), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(statuses(all), times(20, 200))
      const guesses = yield* Effect.forEach(accounts.slice(0, 7), (account) => logIn(home, "wrong horse", account))
      assert.deepStrictEqual(statuses(guesses), [...times(5, 401), 429, 429])
      assert.strictEqual((yield* logIn(elsewhere, "correct horse", accounts[0])).status, 200)
    }).pipe(Effect.provide(serving({ failuresPerPlace: { limit: 5, window: "15 minutes" } }, automatic))))

  it.effect("that come all at once get few more guesses than those in a row", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      const answers = yield* Effect.replicateEffect(logIn(home, "wrong horse"), 100, { concurrency: "unbounded" })
      const guesses = answers.filter(({ status }) => status === 401).length
      assert.isTrue(guesses >= 10 && guesses < 18, `${guesses} guesses`)
    }).pipe(Effect.provide(serving({}, automatic))))

  it.effect("that link are attempts as well", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      const { access_token: token } = yield* Wire.logInAnonymous
      const answers = yield* Effect.replicateEffect(Wire.logInEmail(email, "wrong horse", { token }), 11)
      assert.deepStrictEqual(statuses(answers), [...times(10, 401), 429])
      assert.strictEqual((yield* Wire.logInEmail(email)).status, 429)
    }).pipe(Effect.provide(Wire.layer())))
})

describe("whatever tells who is registered", () => {
  it.effect("counts as a failure of its place: taken and unknown addresses, and links", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      const link = { token: "ab".repeat(64), tokenId: "636aba021728b6c1c03db7f9" }
      const answers = [
        yield* post(home, "register", { email, password: "correct horse" }),
        yield* post(home, "reset/send", { email: "nobody@example.com" }),
        yield* post(home, "confirm", link),
        yield* post(home, "reset", { ...link, password: "battery staple" }),
        yield* post(home, "confirm", link),
        yield* logIn(home)
      ]
      assert.deepStrictEqual(statuses(answers), [409, 404, 400, 400, 429, 429])
      assert.strictEqual(answers[4]?.headers["retry-after"], "225")
      assert.strictEqual((yield* logIn(elsewhere)).status, 200)
    }).pipe(Effect.provide(serving({ failuresPerPlace: { limit: 4, window: "15 minutes" } }, automatic))))

  it.effect("and what comes all at once is hardly more than what comes in a row", () =>
    Effect.gen(function*() {
      const asked = Array.from({ length: 100 }, (_, index) => `nobody-${index}@example.com`)
      const answers = yield* Effect.forEach(asked, (email) => post(home, "reset/send", { email }), {
        concurrency: "unbounded"
      })
      const told = answers.filter(({ status }) => status === 404).length
      assert.isTrue(told >= 4 && told < 12, `${told} answers`)
    }).pipe(
      Effect.provide(serving({ failuresPerPlace: { limit: 4, window: "15 minutes" } }, automatic, Wire.interleaving))
    ))

  it.effect("does not count when it succeeds: many users register from one place", () =>
    Effect.gen(function*() {
      const answers = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => `user-${index}@example.com`),
        (email) => post(home, "register", { email, password: "correct horse" })
      )
      assert.deepStrictEqual(statuses(answers), times(20, 201))
    }).pipe(
      Effect.provide(
        serving({
          failuresPerPlace: { limit: 1, window: "15 minutes" },
          mailsPerPlace: { limit: 1, window: "15 minutes" }
        }, automatic)
      )
    ))
})

describe("mails", () => {
  const sent = Mail.Outbox.use((outbox) => outbox.sent)
  const register = (address: string, email: string) => post(address, "register", { email, password: "correct horse" })

  it.effect("to one address are limited, from wherever they are asked for; whoever has one can use it", () =>
    Effect.gen(function*() {
      yield* register(home, email)
      const again = yield* Effect.forEach(
        Array.from({ length: 11 }, (_, index) => `203.0.113.${index}`),
        (place) => post(place, "confirm/send", { email })
      )
      assert.deepStrictEqual(statuses(again), [...times(9, 204), 429, 429])
      assert.strictEqual(again[10]?.headers["retry-after"], "360")
      // A reset is a mail, too.
      assert.strictEqual((yield* post(elsewhere, "reset/send", { email })).status, 429)
      const mails = yield* sent
      assert.strictEqual(mails.length, 10)
      const { searchParams } = new URL(/^https:\S+$/m.exec(mails[9]?.text ?? "")?.[0] ?? "")
      assert.strictEqual((yield* post(home, "confirm", Object.fromEntries(searchParams))).status, 204)
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual((yield* post(home, "reset/send", { email })).status, 204)
    }).pipe(Effect.provide(serving())))

  it.effect("to one mailbox are limited, however its address is written", () =>
    Effect.gen(function*() {
      const spellings = [
        "zoë@bücher.example",
        "ZOË@Bücher.Example",
        "Zoe\u0308@xn--bcher-kva.example",
        "ｚoë@bücher.example"
      ]
      const answers = yield* Effect.forEach(spellings, (spelling) => register(home, spelling))
      assert.deepStrictEqual(statuses(answers), [201, 201, 429, 429])
      // The others are accounts of their own all the same.
      assert.strictEqual((yield* sent).length, 2)
      assert.strictEqual((yield* register(home, "zoe@bücher.example")).status, 201)
    }).pipe(Effect.provide(serving({ messagesPerAccount: { limit: 2, window: "1 hour" } }))))

  it.effect("that are asked for from one place are limited, and a registration without one leaves nothing", () =>
    Effect.gen(function*() {
      const answers = yield* Effect.forEach(["a", "b", "c"], (name) => register(home, `${name}@example.com`))
      assert.deepStrictEqual(statuses(answers), [201, 201, 429])
      assert.strictEqual((yield* register(elsewhere, "c@example.com")).status, 201)
      assert.deepStrictEqual((yield* sent).map(({ to }) => to), ["a@example.com", "b@example.com", "c@example.com"])
    }).pipe(Effect.provide(serving({ mailsPerPlace: { limit: 2, window: "1 hour" } }))))

  it.effect("that are asked for at once are no more than those in a row", () =>
    Effect.gen(function*() {
      yield* register(home, email)
      const answers = yield* Effect.replicateEffect(post(elsewhere, "confirm/send", { email }), 30, {
        concurrency: "unbounded"
      })
      assert.strictEqual(answers.filter(({ status }) => status === 204).length, 9)
      assert.strictEqual((yield* sent).length, 10)
    }).pipe(Effect.provide(serving())))

  it.effect("are not used up by requests that send none", () =>
    Effect.gen(function*() {
      yield* register(home, email)
      yield* Effect.replicateEffect(register(elsewhere, email), 20)
      assert.strictEqual((yield* post(home, "confirm/send", { email })).status, 204)
    }).pipe(Effect.provide(serving({ messagesPerAccount: { limit: 2, window: "1 hour" } }))))

  it.effect("and runs of the functions in their stead are limited alike", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      const reset = post(home, "reset/call", { email, password: "battery staple", arguments: [] })
      assert.deepStrictEqual(statuses(yield* Effect.replicateEffect(reset, 4)), [204, 204, 204, 429])
    }).pipe(Effect.provide(Wire.layer({
      proxies: 1,
      limits: { messagesPerAccount: { limit: 3, window: "1 hour" } },
      app: Wire.makeApp({
        authProviders: { emailPassword: { autoConfirm: true, runResetFunction: true, resetFunctionName: "reset" } },
        functions: [{ name: "reset", source: "exports = () => ({ status: 'pending' })" }]
      })
    }))))
})

describe("a confirmation that takes its time", () => {
  it.effect("keeps nobody from logging in from the place that waits for it", () =>
    Effect.gen(function*() {
      const attempts = yield* Attempts.Attempts
      const request = HttpServerRequest.fromClientRequest(
        HttpClientRequest.post(path).pipe(HttpClientRequest.setHeader("x-forwarded-for", home))
      )
      const answers = yield* Effect.gen(function*() {
        yield* Effect.replicateEffect(
          Effect.forkChild(attempts.guess(Effect.never), { startImmediately: true }),
          20
        )
        return yield* attempts.logIn(email)(Effect.succeed("logged in"))
      }).pipe(Effect.provideService(HttpServerRequest.HttpServerRequest, request))
      assert.strictEqual(answers, "logged in")
    }).pipe(Effect.provide(Attempts.layer({ database: "users", limits: {}, proxies: 1 }))))
})

describe("the work of a log-in", () => {
  it.effect("is one hash, whether there is an account, and whatever is the matter with it", () =>
    Effect.gen(function*() {
      const hashed: Array<string> = []
      const counting = Layer.effect(
        Password.Password,
        Effect.map(Password.Password, ({ hash, verify }) =>
          Password.Password.of({
            hash: (password) => Effect.andThen(Effect.sync(() => hashed.push("hash")), hash(password)),
            verify: (password, text) => Effect.andThen(Effect.sync(() => hashed.push("verify")), verify(password, text))
          }))
      ).pipe(Layer.provide(Password.layer(Wire.passwords)))
      const layer = EmailAccounts.layer({
        database: "users",
        confirmation: { _tag: "Mail", send: () => Effect.void },
        reset: { _tag: "Mail", send: () => Effect.void }
      }).pipe(Layer.provide([counting, Database.layerMemory]))

      yield* Effect.gen(function*() {
        const accounts = yield* EmailAccounts.EmailAccounts
        const password = Redacted.make("correct horse")
        yield* accounts.register({ email, password })
        const wrong = Redacted.make("wrong horse")
        const long = Redacted.make("x".repeat(10_000))
        for (const given of [password, wrong, long]) {
          for (const account of [email, "nobody@example.com", "", "a\nb"]) {
            hashed.length = 0
            yield* Effect.exit(accounts.logIn({ email: account, password: given }))
            assert.deepStrictEqual(hashed, ["verify"])
          }
        }
      }).pipe(Effect.provide(layer))
    }))
})

describe("the place of a request", () => {
  it.effect("is what the last proxies say, and nothing that a client makes up", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      yield* Effect.forEach(
        Array.from({ length: 10 }, (_, index) => `10.0.0.${index}, ${home}`),
        (forwarded) => logIn(forwarded, "wrong horse")
      )
      assert.strictEqual((yield* logIn(`${elsewhere}, ${home}`)).status, 429)
      assert.strictEqual((yield* logIn(`${home}, ${elsewhere}`)).status, 200)
    }).pipe(Effect.provide(serving({}, automatic))))

  it.effect("behind a proxy that nobody has spoken of is one for all, and the log says so once", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      yield* Wire.register(email)
      yield* logIn(home)
      yield* logIn(elsewhere)
      assert.strictEqual(lines.filter((line) => /way of a proxy.*--proxies/.test(line)).length, 1)
    }).pipe(Effect.provide([Wire.layer(), Wire.capture(lines)]))
  })

  it("is an IPv4 address, however it is written, or the network of an IPv6 address", () => {
    const places = {
      "192.0.2.1": "192.0.2.1",
      "::ffff:192.0.2.1": "192.0.2.1",
      "::ffff:c000:201": "192.0.2.1",
      "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
      "2001:DB8:1:2::6": "2001:db8:1:2::/64",
      "2001:db8::1": "2001:db8:0:0::/64",
      "fe80::1%eth0": "fe80:0:0:0::/64",
      "::1": "0:0:0:0::/64",
      "::": "0:0:0:0::/64"
    }
    for (const [address, place] of Object.entries(places)) assert.strictEqual(ClientAddress.placeOf(address), place)
  })
})

describe("the limiter", () => {
  const limited = (limiter: RateLimiter.RateLimiter) =>
    Layer.provide(Layer.fresh(Wire.layer()), Layer.succeed(RateLimiter.RateLimiter, limiter))

  it.effect("can be one of several servers", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const first = yield* Effect.replicateEffect(Wire.logInEmail(email), 9).pipe(Effect.provide(limited(limiter)))
      const second = yield* Effect.replicateEffect(Wire.logInEmail(email), 2).pipe(Effect.provide(limited(limiter)))
      assert.deepStrictEqual(statuses([...first, ...second]), [...times(10, 401), 429])
    }).pipe(Effect.provide(Layer.provide(RateLimiter.layer, RateLimits.layerStoreMemory()))))

  it.effect("that fails keeps nobody out", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const reason = new RateLimiter.RateLimitStoreError({ message: "no Redis" })
      const broken = { ...limiter, consume: () => Effect.fail(new RateLimiter.RateLimiterError({ reason })) }
      yield* Effect.gen(function*() {
        yield* Wire.register(email)
        assert.strictEqual((yield* Wire.logInEmail(email)).status, 200)
      }).pipe(Effect.provide(limited(broken)))
      assert.match(lines.join("\n"), /store of the rate limits failed/)
    }).pipe(
      Effect.provide(Layer.provide(RateLimiter.layer, RateLimits.layerStoreMemory())),
      Effect.provide(Wire.capture(lines))
    )
  })
})

describe("the store in memory", () => {
  const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

  const Step = Schema.Struct({
    bucket: Schema.Boolean,
    key: Schema.Literals(["a", "b"]),
    tokens: between(0, 4),
    isFree: Schema.Boolean,
    wait: between(0, 20)
  })

  it.effect.prop("answers as Effect's own does", [Schema.Array(Step)], ([steps]) =>
    Effect.gen(function*() {
      const replay = Effect.gen(function*() {
        const store = yield* RateLimiter.RateLimiterStore
        const start = yield* Clock.currentTimeMillis
        let ahead = start
        return yield* Effect.forEach(steps, ({ bucket, isFree, key, tokens, wait }) =>
          Effect.gen(function*() {
            ahead += wait
            const millis = ahead
            const clock = yield* Clock.Clock
            const at = { ...clock, currentTimeMillis: Effect.succeed(millis), currentTimeMillisUnsafe: () => millis }
            const refillRate = Duration.millis(5)
            const answer = bucket
              ? store.tokenBucket({ key, tokens, limit: 3, refillRate, allowOverflow: isFree })
              : store.fixedWindow({ key, tokens, limit: isFree ? undefined : 3, refillRate })
            return yield* Effect.provideService(answer, Clock.Clock, at)
          }))
      })
      const ours = yield* Effect.provide(replay, RateLimits.layerStoreMemory())
      const theirs = yield* Effect.provide(replay, Layer.fresh(RateLimiter.layerStoreMemory))
      assert.deepStrictEqual(ours, theirs)
    }))

  it.effect("lets nobody wait longer than there is to wait, when the clock is set back", () =>
    Effect.gen(function*() {
      const store = yield* RateLimiter.RateLimiterStore
      const bucket = store.tokenBucket({
        key: "a",
        tokens: 1,
        limit: 3,
        refillRate: Duration.minutes(5),
        allowOverflow: false
      })
      const window = store.fixedWindow({ key: "a", tokens: 1, limit: 3, refillRate: Duration.minutes(5) })
      yield* TestClock.adjust("1 day")
      for (let left = 2; left >= 0; left--) {
        assert.strictEqual((yield* bucket)[0], left)
        yield* window
      }
      yield* TestClock.setTime(0)
      assert.deepStrictEqual(yield* bucket, [-1, 0])
      assert.deepStrictEqual(yield* window, [4, Duration.toMillis("15 minutes")])
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* bucket, [0, 0])
    }).pipe(Effect.provide(RateLimits.layerStoreMemory())))

  it("forgets keys that count for nothing any more, and beyond a number the oldest", () => {
    const table = ExpiringTable.make<number>(5000)
    for (let now = 0; now < 100_000; now++) table.set(`key ${now}`, { value: now, expiresAt: now + 100 }, now)
    assert.isAtMost(table.size(), 2000)
    assert.strictEqual(table.get("key 99999", 100_000)?.value, 99_999)
    assert.isUndefined(table.get("key 99999", 100_099))

    const full = ExpiringTable.make<number>(3)
    for (let value = 0; value < 10; value++) full.set(`key ${value}`, { value, expiresAt: 1000 }, 0)
    assert.strictEqual(full.size(), 3)
    assert.isUndefined(full.get("key 0", 0))
    assert.strictEqual(full.get("key 9", 0)?.value, 9)
  })
})
