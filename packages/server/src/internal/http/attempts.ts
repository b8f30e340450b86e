/**
 * The limits of `RateLimits`, around what a request does. Who asks is told by the request in the context; without one, as
 * for programs in the server's own process, only the limits per account hold.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as RcMap from "effect/RcMap"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { createHash } from "node:crypto"
import { domainToASCII } from "node:url"
import type { DatabaseError } from "../../DatabaseError.ts"
import * as RateLimits from "../../RateLimits.ts"
import * as ClientAddress from "./clientAddress.ts"

type Failure = RealmError.RealmError | DatabaseError

export class Attempts extends Context.Service<Attempts, {
  /** An attempt to log in to an account; a wrong password counts. */
  readonly logIn: (
    email: string
  ) => <A, E extends Failure>(attempt: Effect.Effect<A, E>) => Effect.Effect<A, E | RealmError.RequestError>
  /** Anything else whose refusal tells what is there and what is not; an `AuthError` counts. */
  readonly guess: <A, E extends Failure>(attempt: Effect.Effect<A, E>) => Effect.Effect<A, E | RealmError.RequestError>
  /** Fails when an account has had enough mails, or runs of functions that stand for one. Counts. */
  readonly message: (email: string, by: "Mail" | "Function") => Effect.Effect<void, RealmError.RequestError>
}>()("@effect-realm/server/internal/attempts/Attempts") {}

/** How many attempts from one place are under way at once: the others wait, so that no place gets all the hashing. */
const turns = 8

/** How long a place is remembered from where an account was logged in to. */
const memory = Duration.days(30)

// Accounts are somebody's addresses, and of any length; in a store they are neither.
const keyOf = (...parts: ReadonlyArray<string>): string =>
  createHash("sha256").update(parts.join("\u0000")).digest("base64url")

// Accounts are told apart by every letter, as clients expect. Mailboxes are not: whoever wants one to be full writes it anew
// each time, and most take capital letters for small ones.
const mailbox = (email: string): string => {
  const folded = email.normalize("NFKC").toLowerCase()
  const at = folded.lastIndexOf("@")
  return at === -1 ? folded : `${folded.slice(0, at)}@${domainToASCII(folded.slice(at + 1))}`
}

const isWrongPassword = (error: Failure): boolean =>
  error._tag === "AuthError" && error.reason._tag === "InvalidPassword"

export const layer = (options: {
  readonly database: string
  readonly limits: RateLimits.Options
  readonly proxies: number
}): Layer.Layer<Attempts> =>
  Layer.effect(
    Attempts,
    Effect.gen(function*() {
      const limits = { ...RateLimits.defaults, ...options.limits }
      const limiter = Option.getOrUndefined(yield* Effect.serviceOption(RateLimiter.RateLimiter)) ??
        Context.get(
          yield* Layer.build(Layer.fresh(Layer.provide(RateLimiter.layer, RateLimits.layerStoreMemory()))),
          RateLimiter.RateLimiter
        )
      const semaphores = yield* RcMap.make({ lookup: (_turn: string) => Semaphore.make(turns) })
      let hasSeenProxy = false

      interface Bucket {
        readonly key: string
        readonly limit: RateLimits.Limit
      }
      const bucket = (name: keyof RateLimits.Options, ...parts: ReadonlyArray<string>): Bucket => ({
        key: keyOf(options.database, name, ...parts),
        limit: limits[name]
      })

      /** Takes tokens, when there are as many, and answers how long there are too few, in milliseconds, and what is left. */
      const consume = ({ key, limit: { limit, window } }: Bucket, tokens: number) =>
        limiter.consume({ algorithm: "token-bucket", onExceeded: "fail", key, limit, window, tokens }).pipe(
          Effect.map(({ remaining, resetAfter }) => ({
            wait: 0,
            remaining,
            resetAfter: Duration.toMillis(resetAfter)
          })),
          Effect.catch(({ reason }) => {
            if (reason._tag === "RateLimitExceeded") {
              const wait = Math.max(1, Duration.toMillis(reason.retryAfter))
              return Effect.succeed({ wait, remaining: 0, resetAfter: wait })
            }
            return Effect.as(
              Effect.logError("the store of the rate limits failed: nobody is refused", reason),
              { wait: 0, remaining: limit, resetAfter: 0 }
            )
          })
        )

      /** How long until there is a token to take, in milliseconds. */
      const waitFor = (bucket: Bucket): Effect.Effect<number> =>
        Effect.map(consume(bucket, 0), ({ remaining, resetAfter }) => {
          const { limit, window } = bucket.limit
          return remaining >= 1 ? 0 : Math.max(1, resetAfter - (limit - 1) / limit * Duration.toMillis(window))
        })

      const refuse = (millis: number): Effect.Effect<void, RealmError.RequestError> =>
        millis === 0 ? Effect.void : Effect.withFiber((fiber) => {
          const seconds = Math.ceil(millis / 1000)
          HttpEffect.appendPreResponseHandlerUnsafe(
            fiber.context,
            (_, response) => Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", String(seconds)))
          )
          return Effect.fail(
            RealmError.make("TooManyRequests", `too many attempts: try again in ${seconds} seconds`, {
              retryAfter: seconds * 1000
            })
          )
        })

      const refuseWhenEmpty = (bucket: Bucket): Effect.Effect<void, RealmError.RequestError> =>
        Effect.flatMap(waitFor(bucket), refuse)

      const take = (buckets: ReadonlyArray<Bucket>): Effect.Effect<void> =>
        Effect.forEach(buckets, (bucket) => consume(bucket, 1), { discard: true })

      const place: Effect.Effect<string | undefined> = Effect.gen(function*() {
        const request = Option.getOrUndefined(yield* Effect.serviceOption(HttpServerRequest))
        if (request === undefined) return
        if (options.proxies === 0 && !hasSeenProxy && request.headers["x-forwarded-for"] !== undefined) {
          hasSeenProxy = true
          yield* Effect.logWarning(
            "requests come by way of a proxy, so all clients count as one for the rate limits: " +
              "say how many proxies there are by --proxies or EFFECT_REALM_PROXIES"
          )
        }
        const address = ClientAddress.of(request, options.proxies)
        return address === undefined ? undefined : ClientAddress.placeOf(address)
      })

      // Those who guess at once get a few more guesses than they may: as many as have their turn at once. Log-ins have turns of
      // their own, as a mail or a function may take long.
      const inTurn =
        (kind: "log-in" | "guess", place: string) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
          Effect.scopedWith((scope) =>
            Effect.flatMap(
              Scope.provide(RcMap.get(semaphores, `${kind} ${place}`), scope),
              (semaphore) => semaphore.withPermit(effect)
            )
          )

      // What is left is asked before and taken after: only failures count, and what an attempt is shows at its end.
      const attempt = <A, E extends Failure>(
        effect: Effect.Effect<A, E>,
        buckets: ReadonlyArray<Bucket>,
        isWrong: (error: Failure) => boolean
      ): Effect.Effect<A, E | RealmError.RequestError> =>
        Effect.forEach(buckets, refuseWhenEmpty, { discard: true }).pipe(
          Effect.andThen(effect),
          Effect.tapError((error) => isWrong(error) ? take(buckets) : Effect.void)
        )

      const logIn: Attempts["Service"]["logIn"] = (email) => (effect) =>
        Effect.gen(function*() {
          const from = yield* place
          const known: Bucket = {
            key: keyOf(options.database, "known", email, from ?? ""),
            limit: { limit: 1, window: memory }
          }
          const isKnown = (yield* waitFor(known)) > 0
          const tried = attempt(
            effect,
            [
              bucket("failuresPerAccountAndPlace", email, from ?? ""),
              ...(isKnown ? [] : [bucket("failuresPerAccount", email)]),
              ...(from === undefined ? [] : [bucket("failuresPerPlace", from)])
            ],
            isWrongPassword
          )
          const result = yield* from === undefined ? tried : inTurn("log-in", from)(tried)
          yield* take([known])
          return result
        })

      const guess: Attempts["Service"]["guess"] = (effect) =>
        Effect.flatMap(place, (from) =>
          from === undefined
            ? effect
            : inTurn("guess", from)(
              attempt(effect, [bucket("failuresPerPlace", from)], (error) => error._tag === "AuthError")
            ))

      const message: Attempts["Service"]["message"] = Effect.fnUntraced(function*(email, by) {
        const from = yield* place
        // The place's own first: whoever has none left takes nothing from an account.
        const buckets = [
          ...(from === undefined || by === "Function" ? [] : [bucket("mailsPerPlace", from)]),
          bucket("messagesPerAccount", mailbox(email))
        ]
        for (const bucket of buckets) yield* refuse((yield* consume(bucket, 1)).wait)
      })

      return Attempts.of({ logIn, guess, message })
    })
  )
