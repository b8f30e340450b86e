/**
 * Mails of the server: the links that confirm an address or replace a password (protocol section 6). Until somebody says
 * how they are sent, none is, and whoever asks for one is told so: a link in a log would be a secret in a log.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Smtp from "./internal/smtp.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** A mail to one address. */
export interface Message {
  /** An address, as {@link isAddress} knows one, without a name. */
  readonly to: string
  /** One line. */
  readonly subject: string
  readonly text: string
  /** The same for readers that show HTML. */
  readonly html?: string
}

/** How mails are sent. */
export interface Mail {
  /** `false` where nobody has said how mails are sent; then every mail fails with `NotConfigured`. */
  readonly isConfigured: boolean
  /** Hands a mail to whoever delivers it. Fails in bounded time, and then nobody has taken the mail. */
  readonly send: (message: Message) => Effect.Effect<void, MailError>
}

/**
 * The way mails are sent. A server takes the one that is provided to its layer; the default sends none.
 *
 * ```ts
 * import { Mail } from "@effect-realm/server"
 * import { Effect } from "effect"
 *
 * const program = Effect.flatMap(Mail.Mail, (mail) => mail.send({ to: "zoe@example.com", subject: "Hello", text: "…" }))
 * const error = await Effect.runPromise(Effect.flip(program))
 * error.reason._tag // => "NotConfigured"
 * ```
 */
export const Mail: Context.Reference<Mail> = Context.Reference<Mail>("@effect-realm/server/Mail", {
  defaultValue: (): Mail => ({ isConfigured: false, send: () => Effect.fail(mailError({ _tag: "NotConfigured" })) })
})

/** An address, by its shape: no name, no comment, no quotes, and nothing that could end a line or begin another address. */
const address = new RegExp(
  "^[^\\s\\p{C}@<>()\\[\\]\\\\,;:\"]{1,64}@" +
    "[\\p{L}\\p{N}](?:[\\p{L}\\p{N}\\p{M}-]*[\\p{L}\\p{N}\\p{M}])?(?:\\.[\\p{L}\\p{N}](?:[\\p{L}\\p{N}\\p{M}-]*[\\p{L}\\p{N}\\p{M}])?)*$",
  "u"
)

/**
 * `true` for a text that a mail can be sent to, as far as its form says: `local@domain`, at most 254 bytes.
 *
 * ```ts
 * import { Mail } from "@effect-realm/server"
 *
 * Mail.isAddress("zoë@bücher.example") // => true
 * Mail.isAddress("zoe@example.com\r\nBcc: everybody@example.com") // => false
 * ```
 */
export const isAddress = (text: string): boolean =>
  text.length <= 254 && address.test(text) && Buffer.byteLength(text) <= 254

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * Why a mail was not sent.
 *
 * - `NotConfigured`: nobody has said how mails are sent.
 * - `BadSettings`: what was said is not right; `detail` tells what.
 * - `BadMessage`: the mail cannot be one: no address, or a line break where none may be.
 * - `Unreachable`: the mail server could not be reached, or broke off.
 * - `Insecure`: the connection could not be encrypted, or the server's certificate is not one to trust.
 * - `NotAuthenticated`: the mail server refused user or password.
 * - `RecipientRefused`: the mail server does not take mails for this address, for good.
 * - `Refused`: the mail server refused something else, or refused for now.
 * - `TimedOut`: the mail server did not do its part in time; `timeout` is in milliseconds.
 */
export const MailErrorReason = Schema.TaggedUnion({
  NotConfigured: {},
  BadSettings: { detail: Schema.String },
  BadMessage: { detail: Schema.String },
  Unreachable: { detail: Schema.String },
  Insecure: { detail: Schema.String },
  NotAuthenticated: { detail: Schema.String },
  RecipientRefused: { detail: Schema.String },
  Refused: { detail: Schema.String },
  TimedOut: { timeout: Schema.Finite }
})

/** One of the reasons of {@link MailErrorReason}. */
export type MailErrorReason = typeof MailErrorReason.Type

/**
 * A mail was not sent. `message` says what whoever runs the server can do; it holds no password and no link.
 *
 * ```ts
 * import { Mail } from "@effect-realm/server"
 *
 * const error = new Mail.MailError({ reason: { _tag: "TimedOut", timeout: 20_000 } })
 * error.message // => "The mail server did not take the mail within 20000 ms. Check that it is up, then try again."
 * ```
 */
export class MailError extends Schema.TaggedError<MailError>("@effect-realm/server/MailError")("MailError", {
  reason: MailErrorReason
}) {
  override get message(): string {
    const { reason } = this
    switch (reason._tag) {
      case "NotConfigured":
        return "No mail server is configured. Set EFFECT_REALM_MAIL_URL and EFFECT_REALM_MAIL_FROM, " +
          "or provide a layer of Mail."
      case "BadSettings":
        return `The mail settings are not right: ${reason.detail}.`
      case "BadMessage":
        return `The mail cannot be sent: ${reason.detail}.`
      case "Unreachable":
        return `The mail server cannot be reached: ${reason.detail}. Check its host and port, and that it is up.`
      case "Insecure":
        return `The connection to the mail server is not safe: ${reason.detail}. ` +
          "Check the server's certificate; for a server in your own network without TLS use ?tls=none."
      case "NotAuthenticated":
        return `The mail server refused the log-in: ${reason.detail}. Check user and password.`
      case "RecipientRefused":
        return `The mail server refused the recipient: ${reason.detail}. Check the address.`
      case "Refused":
        return `The mail server refused the mail: ${reason.detail}. Check the sender's address and the server's log.`
      case "TimedOut":
        return `The mail server did not take the mail within ${reason.timeout} ms. Check that it is up, then try again.`
    }
  }
}

const mailError = (reason: MailErrorReason): MailError => new MailError({ reason })

// -----------------------------------------------------------------------------
// SMTP
// -----------------------------------------------------------------------------

/** A mail server, and who the mails are from. */
export interface SmtpOptions {
  readonly host: string
  /** 465 by default where `tls` is `implicit`, else 587. */
  readonly port?: number
  /**
   * `implicit`: TLS from the first byte. `starttls`, the default: the connection becomes TLS before anything is sent, or no
   * mail is. `none`: no TLS, for a server on this machine or in a network of your own; not with a password.
   */
  readonly tls?: "implicit" | "starttls" | "none"
  readonly auth?: { readonly user: string; readonly password: Redacted.Redacted }
  /** The sender: an address, alone or with a name: `Shop <no-reply@shop.example>`. */
  readonly from: string
  /** From the connection to the last answer of the mail server; 20 seconds by default. */
  readonly timeout?: Duration.Input
  /** How many mails are under way at once; 5 by default. Others wait, within their time. */
  readonly concurrency?: number
  /** Certificates to trust beside the system's, as PEM: for a mail server with an authority of your own. */
  readonly certificates?: string
}

const readSender = (from: string): Smtp.Sender | undefined => {
  const match = /^\s*(?:"?([^"<>\p{C}]*?)"?\s*<([^<>]+)>|(\S+))\s*$/u.exec(from)
  const address = match?.[2] ?? match?.[3] ?? ""
  return isAddress(address) ? { name: match?.[1] ?? "", address } : undefined
}

const readSettings = (options: SmtpOptions): Result.Result<Smtp.Settings, MailErrorReason> => {
  const bad = (detail: string) => Result.fail({ _tag: "BadSettings" as const, detail })
  const { auth, certificates, concurrency = 5, host, tls = "starttls" } = options
  const sender = readSender(options.from)
  const port = options.port ?? (tls === "implicit" ? 465 : 587)
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "20 seconds"))
  if (sender === undefined) return bad("the sender is no address, such as \"Shop <no-reply@shop.example>\"")
  if (host === "" || /[\s\p{C}/@]/u.test(host)) return bad("the host is no name or address of a machine")
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return bad("the port is not between 1 and 65535")
  if (!(timeout >= 1 && timeout < 2 ** 31)) return bad("the timeout is not between 1 millisecond and 24 days")
  if (!Number.isInteger(concurrency) || concurrency < 1) return bad("the concurrency is not a number from 1 on")
  if (auth !== undefined && tls === "none") return bad("a password is not sent without TLS: leave tls=none out")
  return Result.succeed({ host, port, tls, auth, sender, timeout, concurrency, certificates })
}

/**
 * Sends mails by SMTP.
 *
 * Fails with `MailError`, reason `BadSettings`, when an option cannot be right. The mail server is not asked before there is
 * a mail to send.
 *
 * ```ts no-run
 * import { AppFolder, Database, Listener, Mail } from "@effect-realm/server"
 * import { Config, Effect, Layer } from "effect"
 *
 * const mail = Layer.unwrap(Effect.map(Config.Redacted("SMTP_PASSWORD"), (password) =>
 *   Mail.layerSmtp({
 *     host: "smtp.shop.example",
 *     auth: { user: "shop", password },
 *     from: "Shop <no-reply@shop.example>"
 *   })))
 *
 * const server = Layer.unwrap(Effect.map(AppFolder.load("shop"), ({ app }) => Listener.layer({ app }))).pipe(
 *   Layer.provide([mail, Database.layerFile({ filename: "shop.db" })])
 * )
 * void server
 * ```
 */
export const layerSmtp = (options: SmtpOptions): Layer.Layer<never, MailError> =>
  Layer.effect(
    Mail,
    Effect.gen(function*() {
      const settings = yield* Effect.mapError(Effect.fromResult(readSettings(options)), mailError)
      // Nodemailer takes its time to load, which a server without mails need not spend.
      const smtp = yield* Effect.promise(() => import("./internal/smtp.ts"))
      const deliver = yield* smtp.make(settings)
      return {
        isConfigured: true,
        send: (message) => Effect.mapError(Effect.andThen(checkMessage(message), deliver(message)), mailError)
      }
    })
  )

const checkMessage = ({ subject, to }: Message): Effect.Effect<void, MailErrorReason> =>
  !isAddress(to)
    ? Effect.fail({ _tag: "BadMessage", detail: "the recipient is no address" })
    : /\p{Cc}/u.test(subject)
    ? Effect.fail({ _tag: "BadMessage", detail: "the subject is more than one line" })
    : Effect.void

/**
 * Sends mails by the server that a URL names.
 *
 * - `smtps://user:password@host:465`: TLS from the first byte
 * - `smtp://user:password@host:587`: becomes TLS (STARTTLS) before anything is sent, or no mail is
 * - `smtp://host:25?tls=none`: no TLS, for a server on this machine or in a network of your own
 *
 * What is no letter or digit in user and password is written as in every URL, `%40` for `@`.
 *
 * Fails with `MailError`, reason `BadSettings`, when the URL or the sender cannot be right; the words do not repeat it.
 *
 * ```ts
 * import { Mail } from "@effect-realm/server"
 * import { Effect, Redacted } from "effect"
 *
 * const layer = Mail.layerUrl({
 *   url: Redacted.make("smtps://shop:a%40secret@smtp.shop.example"),
 *   from: "Shop <no-reply@shop.example>"
 * })
 * const { isConfigured } = await Effect.runPromise(Effect.provide(Mail.Mail, layer))
 * isConfigured // => true
 * ```
 */
export const layerUrl = (
  options: { readonly url: Redacted.Redacted; readonly from: string }
): Layer.Layer<never, MailError> =>
  Result.match(readUrl(options), {
    onFailure: (detail) => Layer.effect(Mail, Effect.fail(mailError({ _tag: "BadSettings", detail }))),
    onSuccess: layerSmtp
  })

const readUrl = (
  { from, url: redacted }: { readonly url: Redacted.Redacted; readonly from: string }
): Result.Result<SmtpOptions, string> => {
  const text = Redacted.value(redacted)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== "smtp:" && url.protocol !== "smtps:") || url.hostname === "") {
    return Result.fail("the URL is none such as smtps://user:password@host:465 or smtp://host:587")
  }
  const tls = url.searchParams.get("tls")
  const isPlain = tls === "none"
  if ((url.pathname !== "" && url.pathname !== "/") || (tls !== null && !isPlain) || [...url.searchParams].length > 1) {
    return Result.fail("the URL has more to it than user, password, host, port and ?tls=none")
  }
  if (isPlain && url.protocol === "smtps:") return Result.fail("the URL says smtps and tls=none: leave one out")
  const user = decode(url.username)
  const password = decode(url.password)
  if (user === undefined || password === undefined) return Result.fail("user or password has a % that begins no %40")
  if ((user === "") !== (password === "")) return Result.fail("the URL has a user or a password, and not both")
  return Result.succeed({
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    tls: isPlain ? "none" : url.protocol === "smtps:" ? "implicit" : "starttls",
    from,
    ...(url.port === "" ? undefined : { port: Number(url.port) }),
    ...(user === "" ? undefined : { auth: { user, password: Redacted.make(password) } })
  })
}

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

// -----------------------------------------------------------------------------
// Outbox
// -----------------------------------------------------------------------------

/** A mail that was sent, and when. */
export interface SentMessage extends Message {
  readonly sentAt: Date
}

/** The mails that would have been sent, for tests: see {@link layerMemory}. */
export class Outbox extends Context.Service<Outbox, {
  /** What was sent, the oldest first. */
  readonly sent: Effect.Effect<ReadonlyArray<SentMessage>>
  /** Mails fail with this reason from now on; with `undefined` they are sent again. */
  readonly refuseWith: (reason: MailErrorReason | undefined) => Effect.Effect<void>
}>()("@effect-realm/server/Mail/Outbox") {}

/**
 * Keeps mails in an {@link Outbox} and delivers none.
 *
 * ```ts
 * import { Mail } from "@effect-realm/server"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const mail = yield* Mail.Mail
 *   yield* mail.send({ to: "zoe@example.com", subject: "Hello", text: "…" })
 *   const outbox = yield* Mail.Outbox
 *   return (yield* outbox.sent).map(({ to }) => to)
 * })
 * await Effect.runPromise(Effect.provide(program, Mail.layerMemory)) // => ["zoe@example.com"]
 * ```
 */
export const layerMemory: Layer.Layer<Outbox> = Layer.effectContext(
  Effect.gen(function*() {
    const sent = yield* Ref.make<ReadonlyArray<SentMessage>>([])
    const refusal = yield* Ref.make<MailErrorReason | undefined>(undefined)
    const send = Effect.fnUntraced(function*(message: Message) {
      yield* Effect.mapError(checkMessage(message), mailError)
      const reason = yield* Ref.get(refusal)
      if (reason !== undefined) return yield* mailError(reason)
      const sentAt = new Date(yield* Clock.currentTimeMillis)
      yield* Ref.update(sent, (before) => [...before, { ...message, sentAt }])
    })
    return Context.make(Mail, { isConfigured: true, send }).pipe(
      Context.add(Outbox, Outbox.of({ sent: Ref.get(sent), refuseWith: (reason) => Ref.set(refusal, reason) }))
    )
  })
)
