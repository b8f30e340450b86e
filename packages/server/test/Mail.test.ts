import { Mail } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { SMTPServer, type SMTPServerOptions } from "smtp-server"
import * as Certificate from "./support/certificate.ts"

const { cert, key } = Certificate.make()

interface Received {
  readonly from: string
  readonly to: ReadonlyArray<string>
  readonly user: string | undefined
  readonly secure: boolean
  readonly source: string
}

const password = "a secret of the shop's"
const auth = { user: "shop", password: Redacted.make(password) }
const from = "The Shop <no-reply@shop.example>"
const message = { to: "zoe@example.com", subject: "Hello", text: "Good morning" }

/** A mail server on this machine, and what it has taken. */
const smtpServer = (options: SMTPServerOptions = {}) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const received: Array<Received> = []
        const server = new SMTPServer({
          key,
          cert,
          authOptional: true,
          closeTimeout: 1,
          onAuth: (given, _, done) =>
            given.username === auth.user && given.password === password
              ? done(null, { user: auth.user })
              : done(new Error("Invalid username or password")),
          onData: (stream, session, done) => {
            const chunks: Array<Buffer> = []
            stream.on("data", (chunk: Buffer) => chunks.push(chunk))
            stream.on("end", () => {
              const { mailFrom, rcptTo } = session.envelope
              received.push({
                from: mailFrom === false ? "" : mailFrom.address,
                to: rcptTo.map(({ address }) => address),
                user: session.user === undefined ? undefined : String(session.user),
                secure: session.secure,
                source: Buffer.concat(chunks).toString()
              })
              done()
            })
          },
          ...options
        })
        server.on("error", () => {})
        await new Promise<void>((resolve) => server.listen(0, "localhost", resolve))
        return { received, server }
      }),
      ({ server }) => Effect.promise(() => new Promise<void>((resolve) => server.close(resolve)))
    ),
    ({ received, server }) => {
      const { port } = server.server.address() as AddressInfo
      const smtp = { host: "localhost", port, certificates: cert, from }
      return { received, smtp, port }
    }
  )

/** A server that takes connections and does with them what a test wants. */
const tcpServer = (connected: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<Socket>()
      const server = createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {}).resume()
        connected(socket)
      })
      await new Promise<void>((resolve) => server.listen(0, "localhost", resolve))
      const { port } = server.address() as AddressInfo
      return { server, sockets, port }
    }),
    ({ server, sockets }) =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          server.close(() => resolve())
          for (const socket of sockets) socket.destroy()
        })
      )
  )

const send = (options: Mail.SmtpOptions, mail: Mail.Message = message) =>
  Effect.flatMap(Mail.Mail, (service) => service.send(mail)).pipe(Effect.provide(Mail.layerSmtp(options)))

const reason = (effect: Effect.Effect<unknown, Mail.MailError>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

describe("SMTP", () => {
  it.effect("hands a mail over, encrypted and logged in, by STARTTLS and by TLS from the start", () =>
    Effect.gen(function*() {
      for (const tls of ["starttls", "implicit"] as const) {
        const { received, smtp } = yield* smtpServer({ secure: tls === "implicit" })
        yield* send({ ...smtp, tls, auth }, { ...message, html: "<p>Good morning</p>" })
        const [mail] = received
        assert.deepStrictEqual(
          { ...mail, source: "" },
          { from: "no-reply@shop.example", to: ["zoe@example.com"], user: "shop", secure: true, source: "" }
        )
        assert.match(mail?.source ?? "", /^From: The Shop <no-reply@shop\.example>\r$/m)
        assert.match(mail?.source ?? "", /^To: zoe@example\.com\r$/m)
        assert.match(mail?.source ?? "", /^Subject: Hello\r$/m)
        assert.match(mail?.source ?? "", /^Auto-Submitted: auto-generated\r$/m)
        assert.match(mail?.source ?? "", /^Date: Thu, 01 Jan 1970 00:00:00 \+0000\r$/m)
        assert.match(mail?.source ?? "", /^<p>Good morning<\/p>\r?$/m)
      }
    }))

  it.effect("keeps every character of a subject, and of an address of another script", () =>
    Effect.gen(function*() {
      const { received, smtp } = yield* smtpServer()
      yield* send(smtp, { to: "zoë@bücher.example", subject: "Grüße, 日本", text: "🎉" })
      assert.match(received[0]?.source ?? "", /^Subject: =\?UTF-8\?/m)
      assert.strictEqual(received[0]?.to.length, 1)
      assert.match(received[0]?.to[0] ?? "", /^zoë@(bücher|xn--bcher-kva)\.example$/)
    }))

  it.effect("sends nothing without TLS, unless it was told to", () =>
    Effect.gen(function*() {
      const { received, smtp } = yield* smtpServer({ hideSTARTTLS: true, disabledCommands: ["STARTTLS"] })
      const refused = yield* reason(send(smtp))
      assert.include(["Insecure", "Refused", "Unreachable"], refused._tag)
      assert.deepStrictEqual(received, [])
      yield* send({ ...smtp, tls: "none" })
      assert.deepStrictEqual(received.map(({ secure }) => secure), [false])
      const both = yield* reason(send({ ...smtp, tls: "none", auth }))
      assert.deepStrictEqual(both, {
        _tag: "BadSettings",
        detail: "a password is not sent without TLS: leave tls=none out"
      })
    }))

  it.effect("trusts no certificate that the system does not", () =>
    Effect.gen(function*() {
      for (const secure of [false, true]) {
        const { received, smtp: { certificates: _, ...stranger } } = yield* smtpServer({ secure })
        const refused = yield* reason(send({ ...stranger, auth, tls: secure ? "implicit" : "starttls" }))
        assert.strictEqual(refused._tag, "Insecure")
        assert.deepStrictEqual(received, [])
      }
    }))

  it.effect("says that the log-in was refused, without the password", () =>
    Effect.gen(function*() {
      const { smtp } = yield* smtpServer()
      const wrong = Redacted.make("a wrong secret")
      const error = yield* Effect.flip(send({ ...smtp, auth: { user: "shop", password: wrong } }))
      assert.strictEqual(error.reason._tag, "NotAuthenticated")
      assert.notInclude(`${error.message} ${JSON.stringify(error)} ${error.stack}`, Redacted.value(wrong))
      assert.notInclude(error.message, Buffer.from(Redacted.value(wrong)).toString("base64"))
    }))

  it.effect("tells a recipient who is refused for good from a server that refuses for now", () =>
    Effect.gen(function*() {
      const refusing = (responseCode: number) =>
        Effect.flatMap(
          smtpServer({
            onRcptTo: (_, __, done) => done(Object.assign(new Error("not this one"), { responseCode }))
          }),
          ({ smtp }) => Effect.map(reason(send(smtp)), ({ _tag }) => _tag)
        )
      assert.strictEqual(yield* refusing(550), "RecipientRefused")
      assert.strictEqual(yield* refusing(451), "Refused")
      const { smtp } = yield* smtpServer({
        onData: (stream, _, done) => {
          stream.resume()
          stream.on("end", () => done(Object.assign(new Error(`spam ${"ab".repeat(64)}\u0007`), { responseCode: 554 })))
        }
      })
      const refused = yield* reason(send(smtp))
      assert.strictEqual(refused._tag, "Refused")
      assert.match(JSON.stringify(refused), /spam <redacted>/)
    }))

  it.effect("names a server that is not there, that breaks off, and that is none", () =>
    Effect.gen(function*() {
      const gone = yield* Effect.scoped(Effect.map(smtpServer(), ({ smtp }) => smtp))
      assert.strictEqual((yield* reason(send(gone)))._tag, "Unreachable")
      const { port: breaking } = yield* tcpServer((socket) => socket.end())
      assert.strictEqual((yield* reason(send({ ...gone, port: breaking })))._tag, "Unreachable")
      const { port: http } = yield* tcpServer((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"))
      assert.strictEqual((yield* reason(send({ ...gone, port: http })))._tag, "Unreachable")
      assert.strictEqual((yield* reason(send({ ...gone, tls: "implicit", port: http })))._tag, "Insecure")
    }))

  it.effect("waits for a server that stalls no longer than its time, and hangs up", () =>
    Effect.gen(function*() {
      const connected = yield* Deferred.make<Socket>()
      const context = yield* Effect.context()
      const { port } = yield* tcpServer((socket) => {
        socket.write("220 mail.example ESMTP\r\n")
        Effect.runForkWith(context)(Deferred.succeed(connected, socket))
      })
      const sending = yield* Effect.forkChild(
        Effect.flip(send({ host: "localhost", port, from, timeout: "5 seconds" }))
      )
      const socket = yield* Deferred.await(connected)
      const closed = Effect.promise(() => new Promise((resolve) => socket.once("close", resolve)))
      const hungUp = yield* Effect.forkChild(closed, { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(sending)
      assert.deepStrictEqual(error.reason, { _tag: "TimedOut", timeout: 5000 })
      yield* Fiber.join(hungUp)
    }))

  it.effect("hangs up when nobody waits any more", () =>
    Effect.gen(function*() {
      const connected = yield* Deferred.make<Socket>()
      const context = yield* Effect.context()
      const { port } = yield* tcpServer((socket) => {
        Effect.runForkWith(context)(Deferred.succeed(connected, socket))
      })
      const sending = yield* Effect.forkChild(send({ host: "localhost", port, from }))
      const socket = yield* Deferred.await(connected)
      const closed = Effect.promise(() => new Promise((resolve) => socket.once("close", resolve)))
      const hungUp = yield* Effect.forkChild(closed, { startImmediately: true })
      yield* Fiber.interrupt(sending)
      yield* Fiber.join(hungUp)
    }))

  it.effect("has so many mails under way at once, and sends them all", () =>
    Effect.gen(function*() {
      let open = 0
      let most = 0
      const { received, smtp } = yield* smtpServer({
        onConnect: (_, done) => {
          most = Math.max(most, ++open)
          done()
        },
        onClose: () => {
          open--
        }
      })
      yield* Effect.flatMap(
        Mail.Mail,
        ({ send }) => Effect.replicateEffect(send(message), 12, { concurrency: "unbounded" })
      ).pipe(Effect.provide(Mail.layerSmtp({ ...smtp, concurrency: 1 })))
      assert.strictEqual(received.length, 12)
      // A connection that has said its last word may close a moment after the next has begun.
      assert.isAtMost(most, 2)
    }))

  it.effect("sends to one recipient, whatever the address or the subject says", () =>
    Effect.gen(function*() {
      const { received, smtp } = yield* smtpServer()
      const bad = [
        { ...message, to: "zoe@example.com, eve@example.com" },
        { ...message, to: "zoe@example.com\r\nBcc: eve@example.com" },
        { ...message, to: "Zoe <zoe@example.com>" },
        { ...message, to: "" },
        { ...message, subject: "Hello\r\nBcc: eve@example.com" }
      ]
      for (const mail of bad) assert.strictEqual((yield* reason(send(smtp, mail)))._tag, "BadMessage", mail.to)
      assert.deepStrictEqual(received, [])
    }))
})

describe("settings", () => {
  const url = (text: string, sender = from) =>
    Effect.exit(
      Effect.map(Mail.Mail, ({ isConfigured }) => isConfigured).pipe(
        Effect.provide(Mail.layerUrl({ url: Redacted.make(text), from: sender }))
      )
    )

  it.effect("are read from a URL, user and password decoded", () =>
    Effect.gen(function*() {
      const { port, received } = yield* smtpServer({ secure: true })
      // The test's own certificate is no one's that a URL could name.
      const refused = yield* reason(
        Effect.flatMap(Mail.Mail, ({ send }) => send(message)).pipe(
          Effect.provide(Mail.layerUrl({ url: Redacted.make(`smtps://shop:x@localhost:${port}`), from }))
        )
      )
      assert.strictEqual(refused._tag, "Insecure")
      const { port: plain, received: taken } = yield* smtpServer()
      yield* Effect.flatMap(Mail.Mail, ({ send }) => send(message)).pipe(
        Effect.provide(Mail.layerUrl({ url: Redacted.make(`smtp://localhost:${plain}?tls=none`), from }))
      )
      assert.deepStrictEqual([received.length, taken.length], [0, 1])
    }))

  it.effect("that cannot be right are refused at the start, and not repeated", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [url: string, from?: string]> = [
        ["nonsense secret"],
        ["https://user:secret@host"],
        ["smtp://"],
        ["smtp://host:70000?secret"],
        ["smtp://user@host?secret"],
        ["smtp://:secret@host"],
        ["smtp://user:secret%@host"],
        ["smtp://user:secret@host?tls=none"],
        ["smtp://user:secret@host?tls=maybe"],
        ["smtps://host/secret"],
        ["smtps://host?tls=none&secret"],
        ["smtps://host", "secret"],
        ["smtps://host", "Shop <secret>"],
        ["smtps://host", "Shop <no-reply@shop.example>\nBcc: secret@example.com"]
      ]
      for (const [text, sender] of wrong) {
        const exit = yield* url(text, sender)
        assert.strictEqual(exit._tag, "Failure", text)
        assert.notInclude(String(exit), "secret", text)
      }
      for (const right of ["smtps://host", "smtp://host:25", "smtp://u:p%40@[::1]:2525", "smtp://host?tls=none"]) {
        assert.strictEqual((yield* url(right))._tag, "Success", right)
      }
    }))

  it.effect("of numbers are refused by name", () =>
    Effect.gen(function*() {
      const settings = { host: "host", from }
      for (
        const [wrong, words] of [
          [{ port: 0 }, /port/],
          [{ timeout: 0 }, /timeout/],
          [{ timeout: "1000 days" }, /timeout/],
          [{ concurrency: 0 }, /concurrency/],
          [{ host: "a b" }, /host/]
        ] as const
      ) {
        const error = yield* Effect.flip(Effect.provide(Effect.void, Mail.layerSmtp({ ...settings, ...wrong })))
        assert.match(error.message, words)
      }
    }))
})
