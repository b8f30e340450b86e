/**
 * Email addresses with passwords (protocol section 6, server section 2.3): who registered, who still has to confirm, and
 * the single-use tokens of confirmation and reset. An address becomes an identity of a user at its first log-in or link.
 *
 * Addresses are compared as they are, upper and lower case apart, as clients of this protocol expect.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Accounts from "./Accounts.ts"
import { Database } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import * as LinkTokens from "./internal/linkTokens.ts"
import { isAddress, type MailError } from "./Mail.ts"
import * as Password from "./Password.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** The link token that a confirmation or reset is proved with; valid once and for {@link linkTokenLifetime}. */
export interface LinkToken {
  /** 128 hex digits. */
  readonly token: Redacted.Redacted
  /** 24 hex digits. */
  readonly tokenId: string
}

/** What an app's function decided about a confirmation or a reset. */
export type Verdict = "success" | "pending" | "fail"

/** The argument of an app's confirmation function. */
export interface ConfirmationRequest extends LinkToken {
  readonly email: string
}

/** The first argument of an app's reset function. */
export interface ResetRequest extends LinkToken {
  readonly email: string
  readonly password: Redacted.Redacted
  /** The proposed password is the one the account has already. */
  readonly currentPasswordValid: boolean
}

/** How new addresses are confirmed; by function or mail, unless a limit refuses it. */
export type Confirmation =
  | { readonly _tag: "Automatic" }
  | {
    readonly _tag: "Function"
    readonly run: (request: ConfirmationRequest) => Effect.Effect<Verdict, RealmError.RequestError>
  }
  | {
    readonly _tag: "Mail"
    readonly send: (request: ConfirmationRequest) => Effect.Effect<void, MailError | RealmError.RequestError>
  }

/** How forgotten passwords are replaced. */
export type Reset =
  | {
    readonly _tag: "Function"
    readonly run: (
      request: ResetRequest,
      args: ReadonlyArray<unknown>
    ) => Effect.Effect<Verdict, RealmError.RequestError>
  }
  | {
    readonly _tag: "Mail"
    readonly send: (
      request: LinkToken & { readonly email: string }
    ) => Effect.Effect<void, MailError | RealmError.RequestError>
  }

const Stored = Schema.Struct({
  _id: Schema.String,
  identityId: Schema.String,
  /** None before the first reset of an address that comes from elsewhere. */
  passwordHash: Schema.optionalKey(Schema.String),
  confirmed: Schema.Boolean,
  createdAt: Schema.Date
})

type Refusal = RealmError.AuthError | RealmError.RequestError | RealmError.UnknownServiceError

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * The email addresses of one app. Each operation fails as its endpoint in protocol section 6 does; where a mail is to be
 * sent and cannot be, with the words `error processing request`, and then nothing has changed.
 */
export class EmailAccounts extends Context.Service<EmailAccounts, {
  readonly register: (options: {
    readonly email: string
    readonly password: Redacted.Redacted
  }) => Effect.Effect<void, Refusal | DatabaseError>
  readonly confirm: (token: LinkToken) => Effect.Effect<void, Refusal | DatabaseError>
  readonly sendConfirmation: (email: string) => Effect.Effect<void, Refusal | DatabaseError>
  readonly callConfirmation: (email: string) => Effect.Effect<void, Refusal | DatabaseError>
  readonly reset: (
    options: LinkToken & { readonly password: Redacted.Redacted }
  ) => Effect.Effect<void, Refusal | DatabaseError>
  readonly sendReset: (email: string) => Effect.Effect<void, Refusal | DatabaseError>
  readonly callReset: (options: {
    readonly email: string
    readonly password: Redacted.Redacted
    readonly arguments: ReadonlyArray<unknown>
  }) => Effect.Effect<void, Refusal | DatabaseError>
  /**
   * The identity of an address, for its right password. Fails with `InvalidPassword` for a wrong password and for an
   * address that nobody registered, after the same work; with `AuthError` for one that is not confirmed, and only when
   * the password was right.
   */
  readonly logIn: (options: {
    readonly email: string
    readonly password: Redacted.Redacted
  }) => Effect.Effect<Omit<Accounts.Identity, "providerId">, RealmError.AuthError | DatabaseError>
  /**
   * Keeps the address of an identity that comes from elsewhere: confirmed, and without a password, so that nobody logs in
   * with it before a reset has set one. `false`, and nothing changed, when it is that of this identity already. Fails with
   * `AccountNameInUse` when it is that of another, and with `BadRequest` when it cannot be an address.
   */
  readonly add: (options: {
    readonly email: string
    readonly identityId: string
  }) => Effect.Effect<boolean, RealmError.AuthError | RealmError.RequestError | DatabaseError>
  /** Whether an identity still is that of an address. */
  readonly isRegistered: (identityId: string) => Effect.Effect<boolean, DatabaseError>
  /** Forgets the address of an identity, so that it can be registered anew. */
  readonly remove: (identityId: string) => Effect.Effect<void, DatabaseError>
}>()("@effect-realm/server/EmailAccounts") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/** The provider's name on the wire. */
export const providerType = "local-userpass"

/** How long the link of a mail, or the token given to a function, is good: 30 minutes (protocol section 6). */
export const linkTokenLifetime: Duration.Duration = LinkTokens.lifetime

const badRequest = (message: string): RealmError.RequestError => RealmError.make("BadRequest", message)

/** Longest address, in UTF-16 code units. */
const maxLength = 320

// Where no mail is sent an address can be any name, but one that stays what it is in every database, log and header.
const isName = (email: string): boolean =>
  email !== "" && email.length <= maxLength && email.isWellFormed() && !/\p{Cc}/u.test(email)

const checkPassword = (password: Redacted.Redacted): Effect.Effect<void, RealmError.RequestError> => {
  const { length } = Redacted.value(password)
  return length >= 6 && length <= Password.maxLength
    ? Effect.void
    : Effect.fail(badRequest(`password must be between 6 and ${Password.maxLength} characters`))
}

/** What a mail that was not sent is to the client, in words that say nothing of the server; its log has the others. */
const undelivered = (error: MailError): RealmError.RequestError | RealmError.UnknownServiceError => {
  switch (error.reason._tag) {
    case "BadMessage":
    case "RecipientRefused":
      return badRequest("error processing request: no mail can be sent to this address")
    case "NotConfigured":
      return badRequest("error processing request: the server is not set up to send mails")
    case "BadSettings":
      return badRequest(`error processing request: ${error.reason.detail}`)
    default:
      return new RealmError.UnknownServiceError({
        detail: "error processing request: the mail could not be sent, try again later",
        status: 503
      })
  }
}

const decode = Schema.decodeUnknownEffect(Schema.toType(Stored))

/**
 * The addresses in the collections `email_accounts` and `email_tokens` of a database.
 *
 * ```ts
 * import { Database, EmailAccounts, Password } from "@effect-realm/server"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const credentials = { email: "ann@example.com", password: Redacted.make("correct horse") }
 *
 * const program = Effect.gen(function*() {
 *   const accounts = yield* EmailAccounts.EmailAccounts
 *   yield* accounts.register(credentials)
 *   return (yield* accounts.logIn(credentials)).data
 * })
 *
 * const layer = EmailAccounts.layer({
 *   database: "users",
 *   confirmation: { _tag: "Automatic" },
 *   reset: { _tag: "Mail", send: () => Effect.void }
 * }).pipe(Layer.provide([Password.layer({ cost: 4 }), Database.layerMemory]))
 * await Effect.runPromise(Effect.provide(program, layer)) // => { email: "ann@example.com" }
 * ```
 */
export const layer = (options: {
  readonly database: string
  readonly confirmation: Confirmation
  readonly reset: Reset
}): Layer.Layer<EmailAccounts, DatabaseError, Database | Password.Password> =>
  Layer.effect(
    EmailAccounts,
    Effect.gen(function*() {
      const passwords = yield* Password.Password
      const database = yield* Database
      const accounts = database.collection({ database: options.database, collection: "email_accounts" })
      const tokens = yield* LinkTokens.make(options.database)
      yield* accounts.createIndex({ identityId: 1 }, { unique: true })

      // For what would be left half done when its client goes: a mail is sent or not, whoever still waits for the answer.
      const scope = yield* Effect.scope
      const toTheEnd = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
        Effect.flatMap(Effect.forkIn(effect, scope, { startImmediately: true }), Fiber.join)

      const get = Effect.fnUntraced(function*(email: string) {
        const found = yield* accounts.findOne({ _id: email })
        return Option.isNone(found) ? undefined : yield* Effect.orDie(decode(found.value))
      })

      const existing = Effect.fnUntraced(function*(email: string) {
        const account = yield* get(email)
        return account === undefined ? yield* RealmError.make("UserNotFound", "user not found") : account
      })

      const pending = Effect.fnUntraced(function*(email: string) {
        const account = yield* existing(email)
        return account.confirmed ? yield* RealmError.make("UserAlreadyConfirmed", "already confirmed") : account
      })

      // The identity is named too: an address that was freed and registered anew is another account.
      const settle = (
        account: { readonly email: string; readonly identityId: string },
        fields: Partial<typeof Stored.Type>
      ) =>
        Effect.map(
          accounts.updateOne({ _id: account.email, identityId: account.identityId }, { $set: fields }),
          (result) => result.matchedCount === 1
        )

      const setPassword = Effect.fnUntraced(
        function*(account: { readonly email: string; readonly identityId: string }, password: Redacted.Redacted) {
          const isSet = yield* settle(account, { passwordHash: yield* passwords.hash(password) })
          // Older links lead to an older wish.
          yield* tokens.end({ identityId: account.identityId, purpose: "reset" }, "replaced")
          return isSet
        }
      )

      const drop = Effect.fnUntraced(function*(filter: { readonly identityId: string; readonly confirmed?: boolean }) {
        const { deletedCount } = yield* accounts.deleteOne(filter)
        if (deletedCount === 1) yield* tokens.forget(filter.identityId)
      })

      const runConfirmation = Effect.fnUntraced(
        function*(account: typeof Stored.Type, run: Extract<Confirmation, { _tag: "Function" }>["run"]) {
          const { _id: email, identityId } = account
          const verdict = yield* run({ email, ...yield* tokens.issue("confirm", { email, identityId }) })
          if (verdict === "success") {
            yield* settle({ email, identityId }, { confirmed: true })
          } else if (verdict === "fail") {
            // The token of an earlier run may have confirmed it meanwhile: then it stays.
            yield* drop({ identityId, confirmed: false })
            return yield* badRequest(`failed to confirm user "${email}"`)
          }
        }
      )

      const deliver = Effect.fnUntraced(function*(
        purpose: LinkTokens.Purpose,
        account: typeof Stored.Type,
        send: Extract<Confirmation, { _tag: "Mail" }>["send"]
      ) {
        const { _id: email, identityId } = account
        const token = yield* tokens.issue(purpose, { email, identityId })
        yield* send({ email, ...token }).pipe(
          Effect.catchTag("MailError", (error) =>
            Effect.andThen(
              Effect.logWarning(`mail not sent: ${error.message}`),
              Effect.fail(undelivered(error))
            )),
          // It may have been taken all the same: a mail that nobody was told of does not get a link that works.
          Effect.onError(() => Effect.orDie(tokens.end({ _id: token.tokenId }, "not sent")))
        )
      })

      const askToConfirm = Effect.fnUntraced(function*(account: typeof Stored.Type) {
        const { confirmation } = options
        if (confirmation._tag === "Function") yield* runConfirmation(account, confirmation.run)
        if (confirmation._tag === "Mail") yield* deliver("confirm", account, confirmation.send)
      })

      const taken = RealmError.make("AccountNameInUse", "name already in use")

      const add: EmailAccounts["Service"]["add"] = Effect.fnUntraced(function*({ email, identityId }) {
        if (!isName(email)) return yield* badRequest("email invalid")
        const createdAt = new Date(yield* Clock.currentTimeMillis)
        return yield* Effect.as(accounts.insertOne({ _id: email, identityId, confirmed: true, createdAt }), true).pipe(
          Effect.catchReason("DatabaseError", "DuplicateKey", () =>
            Effect.flatMap(get(email), (known) =>
              known?.identityId === identityId ? Effect.succeed(false) : Effect.fail(taken)))
        )
      })

      const register: EmailAccounts["Service"]["register"] = Effect.fnUntraced(function*({ email, password }) {
        const { confirmation } = options
        if (!(confirmation._tag === "Mail" ? isAddress(email) : isName(email))) {
          return yield* badRequest("email invalid")
        }
        yield* checkPassword(password)
        if ((yield* get(email)) !== undefined) {
          return yield* taken
        }
        const account: typeof Stored.Type = {
          _id: email,
          identityId: yield* Accounts.makeIdentityId,
          passwordHash: yield* passwords.hash(password),
          confirmed: confirmation._tag === "Automatic",
          createdAt: new Date(yield* Clock.currentTimeMillis)
        }
        yield* toTheEnd(Effect.andThen(
          accounts.insertOne({ ...account }).pipe(
            Effect.catchReason("DatabaseError", "DuplicateKey", () =>
              Effect.fail(taken))
          ),
          // Without a link nobody could ever confirm the address: it is free again.
          Effect.onError(
            askToConfirm(account),
            () =>
              Effect.orDie(drop({ identityId: account.identityId, confirmed: false }))
          )
        ))
      })

      const confirm: EmailAccounts["Service"]["confirm"] = Effect.fnUntraced(function*(token) {
        const spent = yield* tokens.spend("confirm", token)
        if (!(yield* settle(spent, { confirmed: true }))) {
          return yield* tokens.refuse("confirm", token.tokenId, "no account")
        }
      })

      const sendConfirmation: EmailAccounts["Service"]["sendConfirmation"] = Effect.fnUntraced(function*(email) {
        const account = yield* pending(email)
        if (options.confirmation._tag !== "Mail") {
          return yield* badRequest("error processing request: confirmation by mail is not enabled")
        }
        yield* toTheEnd(askToConfirm(account))
      })

      const callConfirmation: EmailAccounts["Service"]["callConfirmation"] = Effect.fnUntraced(function*(email) {
        const { confirmation } = options
        if (confirmation._tag === "Automatic") {
          return yield* badRequest(`cannot run confirmation for ${email}: automatic confirmation is enabled`)
        }
        const account = yield* pending(email)
        if (confirmation._tag === "Mail") {
          return yield* badRequest(`cannot run confirmation for ${email}: no confirmation function is configured`)
        }
        yield* askToConfirm(account)
      })

      const reset: EmailAccounts["Service"]["reset"] = Effect.fnUntraced(function*({ password, ...token }) {
        yield* checkPassword(password)
        const spent = yield* tokens.spend("reset", token)
        if (!(yield* setPassword(spent, password))) {
          return yield* tokens.refuse("reset", token.tokenId, "no account")
        }
      })

      const sendReset: EmailAccounts["Service"]["sendReset"] = Effect.fnUntraced(function*(email) {
        if (options.reset._tag === "Function") {
          return yield* badRequest("please use reset password via function")
        }
        yield* toTheEnd(deliver("reset", yield* existing(email), options.reset.send))
      })

      const callReset: EmailAccounts["Service"]["callReset"] = Effect.fnUntraced(function*(request) {
        const { email, password } = request
        if (options.reset._tag === "Mail") {
          return yield* badRequest("error processing request: no reset function is configured")
        }
        yield* checkPassword(password)
        const account = yield* existing(email)
        const { identityId } = account
        const currentPasswordValid = yield* passwords.verify(password, account.passwordHash)
        const token = yield* tokens.issue("reset", { email, identityId })
        const verdict = yield* options.reset.run({ email, password, currentPasswordValid, ...token }, request.arguments)
        if (verdict === "pending") {
          return
        }
        yield* tokens.end({ _id: token.tokenId }, "used")
        if (verdict === "fail") {
          // This refusal alone never had a code (protocol section 6).
          return yield* new RealmError.UnknownServiceError({
            detail: `failed to reset password for user "${email}"`,
            status: 400
          })
        }
        yield* setPassword({ email, identityId }, password)
      })

      const logIn: EmailAccounts["Service"]["logIn"] = Effect.fnUntraced(function*({ email, password }) {
        const account = yield* get(email)
        if (!(yield* passwords.verify(password, account?.passwordHash)) || account === undefined) {
          return yield* RealmError.make("InvalidPassword", "unauthorized")
        }
        if (!account.confirmed) {
          return yield* RealmError.make("AuthError", "unauthorized")
        }
        return { id: account.identityId, providerType, data: { email } }
      })

      return EmailAccounts.of({
        register,
        // Interrupted half-way a link would be spent for nothing.
        confirm: (token) =>
          Effect.uninterruptible(confirm(token)),
        sendConfirmation,
        callConfirmation,
        reset: (options) =>
          Effect.uninterruptible(reset(options)),
        sendReset,
        callReset,
        logIn,
        add,
        isRegistered: (identityId) =>
          Effect.map(accounts.findOne({ identityId }), Option.isSome),
        remove: (identityId) => drop({ identityId })
      })
    })
  )
