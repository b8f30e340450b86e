/** The least that answers like the server of an app, over a socket: it can be told to expire tokens and to be slow. */
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { json } from "node:stream/consumers"

export interface Server {
  readonly baseUrl: string
  /** Access tokens handed out so far are expired. */
  readonly expire: () => void
  /** How many exchanges there were since the last `expire`. */
  readonly exchanges: () => number
  /** How long an exchange takes, in milliseconds. */
  delay: number
  /** Resolves when the next exchange has begun, of a user or of anybody. */
  readonly nextExchange: (userId?: string) => Promise<void>
  /** Lets the next exchange wait for as long as it takes. */
  readonly holdNextExchange: () => { readonly begun: Promise<void>; readonly letGo: () => void }
  /** The refresh token of a user's last log-in. */
  readonly refreshTokenOf: (userId: string) => string | undefined
  readonly close: () => void
}

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

const noDevice = "0".repeat(24)

const subjectOf = (request: IncomingMessage): string => {
  const claims: unknown = JSON.parse(
    Buffer.from(request.headers.authorization?.split(".")[1] ?? "", "base64url").toString()
  )
  return String(Reflect.get(Object(claims), "sub"))
}

export const make = async (): Promise<Server> => {
  let epoch = 0
  let exchanges = 0
  let logIns = 0
  let tokens = 0
  let waiting: Array<{ readonly userId: string | undefined; readonly begun: () => void }> = []
  let gate: Promise<void> | undefined
  const refreshTokens = new Map<string, string>()
  /** Refresh tokens of sessions that have ended. */
  const ended = new Set<string>()

  const token = (sub: string, typ: string, lifetime: number): string => {
    const iat = Math.floor(Date.now() / 1000)
    return `${base64({ alg: "none" })}.${
      base64({ sub, typ, iat, exp: iat + lifetime, baas_device_id: noDevice, user_data: {}, n: ++tokens })
    }.${epoch}`
  }

  const logIn = (userId: string) => {
    const refreshToken = token(userId, "refresh", 5_184_000)
    refreshTokens.set(userId, refreshToken)
    return {
      access_token: token(userId, "access", 1800),
      refresh_token: refreshToken,
      user_id: userId,
      device_id: noDevice
    }
  }

  const exchangeBegins = (userId: string): void => {
    exchanges++
    const isWaiting = (one: (typeof waiting)[number]) => one.userId === undefined || one.userId === userId
    const told = waiting.filter(isWaiting)
    waiting = waiting.filter((one) => !isWaiting(one))
    for (const { begun } of told) begun()
  }

  const answer = async (request: IncomingMessage): Promise<readonly [status: number, body?: unknown]> => {
    const path = request.url ?? ""
    const bearer = request.headers.authorization ?? ""
    if (path.endsWith("/local-userpass/login")) {
      const { username } = Object(await json(request))
      return [200, logIn(String(username))]
    }
    if (path.endsWith("/login")) return [200, logIn((++logIns).toString(16).padStart(24, "0"))]
    if (path.endsWith("/auth/session") && request.method === "DELETE") {
      ended.add(bearer)
      return [204]
    }
    if (path.endsWith("/auth/session")) {
      const held = gate
      gate = undefined
      exchangeBegins(subjectOf(request))
      await held
      await new Promise((resolve) => setTimeout(resolve, server.delay))
      return ended.has(bearer)
        ? [401, { error: "invalid session", error_code: "InvalidSession" }]
        : [201, { access_token: token(subjectOf(request), "access", 1800) }]
    }
    if (!bearer.endsWith(`.${epoch}`)) return [401, { error: "invalid session", error_code: "InvalidSession" }]
    if (path.endsWith("/auth/profile")) {
      const userId = subjectOf(request)
      return [200, {
        user_id: userId,
        type: "normal",
        data: {},
        identities: [{ id: userId, provider_type: "anon-user" }]
      }]
    }
    return [200, { $numberInt: "3" }]
  }

  const http = createServer((request, response) => {
    void answer(request).then(([status, body]) => {
      request.resume()
      response.writeHead(status, { "content-type": "application/json" })
      response.end(body === undefined ? undefined : JSON.stringify(body))
    })
  })
  // A busy machine sends a request over a connection that is being closed, because nobody has used it for long.
  http.keepAliveTimeout = 0
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve))
  const { port } = http.address() as AddressInfo
  const server: Server = {
    baseUrl: `http://127.0.0.1:${port}`,
    delay: 5,
    expire: () => {
      epoch++
      exchanges = 0
    },
    exchanges: () => exchanges,
    nextExchange: (userId) => new Promise((begun) => waiting.push({ userId, begun })),
    holdNextExchange: () => {
      const { promise, resolve: letGo } = Promise.withResolvers<void>()
      gate = promise
      return { begun: server.nextExchange(), letGo }
    },
    refreshTokenOf: (userId) => refreshTokens.get(userId),
    close: () => {
      http.close()
      http.closeAllConnections()
    }
  }
  return server
}
