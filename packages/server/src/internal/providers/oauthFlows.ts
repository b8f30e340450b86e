/**
 * Log-ins that are under way on a provider's page: which browser set out, for whom, and where it has to come back to.
 *
 * Each is known by a state that travels through the provider, and belongs to the browser that holds a secret in a cookie:
 * a callback of another browser would log its user in to a stranger's account. The database holds neither, but what both
 * hash to. Taking one deletes it, so that it works once.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHash, randomBytes } from "node:crypto"
import { Database } from "../../Database.ts"
import type { DatabaseError } from "../../DatabaseError.ts"

/** How long somebody may take to log in at the provider. */
export const lifetime = Duration.minutes(10)

const Flow = Schema.Struct({
  provider: Schema.Literals(["google", "facebook", "apple"]),
  /** The page to come back to in the end. */
  redirect: Schema.String,
  /** What that page knows the log-in by. */
  state: Schema.String,
  /** Our own address that the provider comes back to. */
  callback: Schema.String,
  device: Schema.Record(Schema.String, Schema.String),
  /** The session whose user is to get the identity. */
  link: Schema.NullOr(Schema.Struct({ userId: Schema.String, sessionId: Schema.String }))
})

/** A log-in under way. */
export type Flow = typeof Flow.Type

const Stored = Schema.Struct({ ...Flow.fields, _id: Schema.String, browser: Schema.String, expiresAt: Schema.Date })

const decode = Schema.decodeUnknownEffect(Schema.toType(Stored))

/** What a browser and the provider's page are given. */
export interface Begun {
  /** For the provider, which hands it back. */
  readonly state: string
  /** For a cookie of the browser. */
  readonly browser: Redacted.Redacted
}

export interface OAuthFlows {
  readonly begin: (flow: Flow) => Effect.Effect<Begun, DatabaseError>
  /** The flow of a state and a browser, once; nothing when it was taken before, is too old or of another browser. */
  readonly take: (state: string, browser: Redacted.Redacted) => Effect.Effect<Flow | undefined, DatabaseError>
}

const hash = (purpose: string, secret: string): string =>
  createHash("sha256").update(`${purpose}\0${secret}`).digest("base64url")

const secret = (): string => randomBytes(32).toString("base64url")

/** The name of the cookie for a state: each log-in under way has its own. */
export const cookieOf = (state: string): string => `baas_oauth_${hash("cookie", state).slice(0, 16)}`

/** What proves to the provider that the browser which comes back is the one that set out (PKCE, and OpenID's nonce). */
export const proofOf = (browser: Redacted.Redacted) => {
  const verifier = hash("verifier", Redacted.value(browser))
  return {
    verifier: Redacted.make(verifier),
    challenge: createHash("sha256").update(verifier).digest("base64url"),
    nonce: hash("nonce", Redacted.value(browser))
  }
}

/** @param options.database where the server keeps what it knows of the app */
export const make = (options: {
  readonly database: string
}): Effect.Effect<OAuthFlows, DatabaseError, Database> =>
  Effect.gen(function*() {
    const flows = (yield* Database).collection({ database: options.database, collection: "oauth_flows" })
    yield* flows.createIndex({ expiresAt: 1 })

    return {
      begin: Effect.fnUntraced(function*(flow) {
        const now = yield* Clock.currentTimeMillis
        const state = secret()
        const browser = secret()
        yield* flows.deleteMany({ expiresAt: { $lte: new Date(now) } })
        yield* flows.insertOne({
          ...flow,
          _id: hash("state", state),
          browser: hash("browser", browser),
          expiresAt: new Date(now + Duration.toMillis(lifetime))
        })
        return { state, browser: Redacted.make(browser) }
      }),
      take: Effect.fnUntraced(function*(state, browser) {
        const found = yield* flows.findOneAndDelete({
          _id: hash("state", state),
          browser: hash("browser", Redacted.value(browser))
        })
        if (Option.isNone(found)) return undefined
        const { _id, browser: _, expiresAt, ...flow } = yield* Effect.orDie(decode(found.value))
        return expiresAt.getTime() > (yield* Clock.currentTimeMillis) ? flow : undefined
      })
    }
  })
