/**
 * One mail to one SMTP server, by nodemailer's connection: its mailer cannot be told to stop, and a connection can.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import { isIP } from "node:net"
import { rootCertificates } from "node:tls"
import MailComposer from "nodemailer/lib/mail-composer"
import SMTPConnection from "nodemailer/lib/smtp-connection"
import type { MailErrorReason, Message } from "../Mail.ts"

export interface Sender {
  readonly name: string
  readonly address: string
}

export interface Settings {
  readonly host: string
  readonly port: number
  readonly tls: "implicit" | "starttls" | "none"
  readonly auth: { readonly user: string; readonly password: Redacted.Redacted } | undefined
  readonly sender: Sender
  /** Milliseconds. */
  readonly timeout: number
  readonly concurrency: number
  readonly certificates: string | undefined
}

interface SmtpError extends Error {
  readonly code?: string | undefined
  /** What the socket said, where `code` is nodemailer's own word for it. */
  readonly originalCode?: string | undefined
  readonly command?: string | undefined
  readonly responseCode?: number | undefined
}

/** The words of a mail server, which may be any: in one line, bounded, and without the token of a link they may repeat. */
const wordsOf = (error: Error): string => {
  const words = error.message.replaceAll(/\p{C}+/gu, " ").replaceAll(/[0-9a-f]{32,}/gi, "<redacted>").trim()
  return words === "" ? "it did not say why" : words.slice(0, 200)
}

// OpenSSL's and Node's own words for what is wrong with a certificate or a handshake.
const isTlsFailure = (code: string): boolean => /^ERR_(?:SSL|TLS)_|CERT|SIGNATURE|^UNABLE_TO_|^HOSTNAME_/.test(code)

const reasonOf = (error: SmtpError, settings: Settings): MailErrorReason => {
  const detail = wordsOf(error)
  switch (error.code) {
    case "ETIMEDOUT":
      return { _tag: "TimedOut", timeout: settings.timeout }
    case "EAUTH":
    case "ENOAUTH":
      return { _tag: "NotAuthenticated", detail }
    case "ETLS":
      return { _tag: "Insecure", detail }
    case "EENVELOPE":
    case "EMESSAGE": {
      const isForGood = error.responseCode !== undefined && error.responseCode >= 500
      return { _tag: error.command === "RCPT TO" && isForGood ? "RecipientRefused" : "Refused", detail }
    }
    default:
      return { _tag: isTlsFailure(error.originalCode ?? "") ? "Insecure" : "Unreachable", detail }
  }
}

const compose = (sender: Sender, message: Message, date: Date): Effect.Effect<Buffer, MailErrorReason> =>
  Effect.callback((resume) => {
    // Addresses are objects: a text would be read as a list of them.
    const composer = new MailComposer({
      from: sender,
      to: { name: "", address: message.to },
      subject: message.subject,
      text: message.text,
      ...(message.html === undefined ? undefined : { html: message.html }),
      date,
      headers: { "Auto-Submitted": "auto-generated" },
      disableFileAccess: true,
      disableUrlAccess: true
    })
    composer.compile().build((error, mail) => {
      resume(
        mail === undefined || error
          ? Effect.fail({ _tag: "BadMessage", detail: error ? wordsOf(error) : "it is empty" })
          : Effect.succeed(mail)
      )
    })
  })

const transmit = (settings: Settings, message: Message, mail: Buffer): Effect.Effect<void, MailErrorReason> =>
  Effect.callback((resume) => {
    const { auth, certificates, host, port, sender, timeout, tls } = settings
    const connection = new SMTPConnection({
      host,
      port,
      secure: tls === "implicit",
      requireTLS: tls === "starttls",
      ignoreTLS: tls === "none",
      connectionTimeout: timeout,
      greetingTimeout: timeout,
      socketTimeout: timeout,
      dnsTimeout: timeout,
      socketCloseTimeout: 0,
      tls: certificates === undefined ? {} : { ca: [...rootCertificates, certificates] },
      ...(isIP(host) === 0 ? { servername: host } : undefined)
    })
    const fail = (error: SmtpError): void => {
      connection.close()
      resume(Effect.fail(reasonOf(error, settings)))
    }
    const send = (): void =>
      connection.send({ from: sender.address, to: message.to }, mail, (error) => {
        if (error) return fail(error)
        connection.quit()
        resume(Effect.void)
      })
    // Stays for the life of the connection: what goes wrong after the last answer is nobody's concern, and no crash.
    connection.on("error", fail)
    connection.connect((error) => {
      if (error) return fail(error)
      if (auth === undefined) return send()
      connection.login({ user: auth.user, pass: Redacted.value(auth.password) }, (error) => {
        if (error) return fail(error)
        send()
      })
    })
    return Effect.sync(() => connection.close())
  })

/** Delivers mails: so many at once, each within its time, and no longer than somebody waits for it. */
export const make = (
  settings: Settings
): Effect.Effect<(message: Message) => Effect.Effect<void, MailErrorReason>> =>
  Effect.map(Semaphore.make(settings.concurrency), (semaphore) => (message) =>
    Effect.gen(function*() {
      const mail = yield* compose(settings.sender, message, new Date(yield* Clock.currentTimeMillis))
      yield* semaphore.withPermit(transmit(settings, message, mail))
    }).pipe(
      Effect.timeoutOrElse({
        duration: settings.timeout,
        orElse: () => Effect.fail({ _tag: "TimedOut" as const, timeout: settings.timeout })
      })
    ))
