/**
 * A small model of the server: users, sessions, tokens and custom data in memory, latencies on the test clock, no promise
 * anywhere. It can be told to answer anything else than it would, which the real server never does.
 */
import type { Requests } from "@effect-realm/testing"
import { Clock, Effect, Layer } from "effect"
import { Base64Url } from "effect/encoding"
import { HttpBody, HttpClient, type HttpClientRequest, HttpServerResponse } from "effect/http"

export type Endpoint = Requests.EndpointName

/** A request as it arrived, and what became of it. */
export interface Asked {
  readonly number: number
  readonly endpoint: Endpoint
  readonly link: boolean
  readonly bearer:
    | { readonly kind: "access" | "refresh"; readonly userId: string; readonly sessionId: string }
    | undefined
  readonly body: { readonly [field: string]: unknown }
  readonly at: number
  /** When it was answered or aborted. */
  until: number | undefined
  ran: boolean
  answered: boolean
  aborted: boolean
}

export interface Answer {
  readonly status: number
  readonly body?: unknown
  /** A body as it is, in place of JSON. */
  readonly text?: string
  readonly contentType?: string
  readonly headers?: { readonly [name: string]: string }
}

export interface Options {
  /** Milliseconds until a request reaches the server, and until its answer is back. */
  readonly latency?: (asked: Asked) => readonly [there: number, back: number]
  /** How far the server's clock is ahead of the client's, in milliseconds. */
  readonly skew?: number
  /** Life of an access token in seconds. */
  readonly life?: number
  /** What to answer in the server's place; `undefined` leaves it to the server. */
  readonly script?: (asked: Asked) => Answer | undefined
}

interface Account {
  readonly id: string
  readonly identities: Array<{ readonly id: string; readonly provider_type: string }>
  /** Access tokens with a lower number are refused. */
  validFrom: number
  disabled: boolean
  customData: { readonly [field: string]: unknown }
}

const epoch = 1_700_000_000_000

export const password = "correct horse battery staple"

const endpoints: ReadonlyArray<readonly [method: string, path: RegExp, endpoint: Endpoint]> = [
  ["GET", /\/location$/, "location"],
  ["POST", /\/anon-user\/login$/, "logInAnonymous"],
  ["POST", /\/local-userpass\/login$/, "logInEmailPassword"],
  ["POST", /\/custom-function\/login$/, "logInFunction"],
  ["POST", /\/local-userpass\/register$/, "register"],
  ["POST", /\/auth\/session$/, "refreshSession"],
  ["DELETE", /\/auth\/session$/, "deleteSession"],
  ["GET", /\/auth\/profile$/, "profile"],
  ["DELETE", /\/auth\/delete$/, "deleteUser"],
  ["POST", /\/functions\/call$/, "callFunction"]
]

const refusal = (status: number, error: string, error_code?: string): Answer => ({
  status,
  body: { error, ...(error_code === undefined ? undefined : { error_code }), link: "http://log" }
})

export const invalidSession = refusal(401, "invalid session", "InvalidSession")

/** A model of the server, and its insides for the test to look at and to meddle with. */
export const make = (options: Options = {}) => {
  const { life = 1800, skew = 0 } = options
  const accounts = new Map<string, Account>()
  const sessions = new Map<string, string>()
  const emails = new Map<string, string>()
  const asked: Array<Asked> = []
  const calls: Array<{ readonly userId: string; readonly args: ReadonlyArray<unknown> }> = []
  const secrets = new Set<string>([password])
  let counter = 0

  const token = (claims: { readonly [claim: string]: unknown }): string => {
    const number = ++counter
    const signature = `signature-of-${number}-kept-secret`
    const payload = Base64Url.encode(JSON.stringify({ ...claims, number }))
    const text = `${Base64Url.encode("{\"alg\":\"HS256\",\"typ\":\"JWT\"}")}.${payload}.${signature}`
    secrets.add(payload)
    secrets.add(signature)
    return text
  }

  const accessToken = (account: Account, sessionId: string, now: number): string => {
    const iat = Math.floor(now / 1000)
    const { customData: user_data, id: sub } = account
    return token({ sub, sid: sessionId, typ: "access", iat, exp: iat + life, user_data })
  }

  const account = (identity: Account["identities"][number]): Account => {
    const id = `user-${accounts.size + 1}`
    const made: Account = { id, identities: [identity], validFrom: 0, disabled: false, customData: { version: 0 } }
    accounts.set(id, made)
    return made
  }

  const logIn = (owner: Account, now: number): Answer => {
    if (owner.disabled) return refusal(401, "unauthorized", "UserDisabled")
    const sessionId = `session-${++counter}`
    sessions.set(sessionId, owner.id)
    const iat = Math.floor(now / 1000)
    return {
      status: 200,
      body: {
        access_token: accessToken(owner, sessionId, now),
        refresh_token: token({ sub: owner.id, sid: sessionId, typ: "refresh", iat, exp: iat + 60 * 86_400 }),
        user_id: owner.id,
        device_id: "000000000000000000000000"
      }
    }
  }

  const serve = (one: Asked, claims: { readonly [claim: string]: unknown } | undefined, now: number): Answer => {
    const { bearer, body, endpoint } = one
    const owner = bearer === undefined ? undefined : accounts.get(bearer.userId)
    const active = (kind: "access" | "refresh"): Account | undefined =>
      bearer?.kind === kind && owner !== undefined && sessions.get(bearer.sessionId) === owner.id &&
        (kind === "refresh" || (Number(claims?.["number"]) >= owner.validFrom && Number(claims?.["exp"]) * 1000 > now))
        ? owner
        : undefined
    switch (endpoint) {
      case "location":
        return {
          status: 200,
          body: {
            deployment_model: "LOCAL",
            location: "IE",
            hostname: "http://model.test",
            ws_hostname: "ws://model.test"
          }
        }
      case "register": {
        const email = String(body["email"])
        if (emails.has(email)) return refusal(409, "name already in use", "AccountNameInUse")
        emails.set(email, "")
        return { status: 201 }
      }
      case "logInAnonymous":
        return logIn(account({ id: `anonymous-${++counter}`, provider_type: "anon-user" }), now)
      case "logInEmailPassword": {
        const email = String(body["username"])
        if (one.link && active("access") === undefined) return invalidSession
        if (!emails.has(email) || body["password"] !== password) {
          return refusal(401, "invalid username/password", "InvalidPassword")
        }
        const known = accounts.get(emails.get(email) ?? "")
        if (!one.link) {
          if (known !== undefined) return logIn(known, now)
          const made = account({ id: email, provider_type: "local-userpass" })
          emails.set(email, made.id)
          return logIn(made, now)
        }
        const linking = active("access")!
        if (known !== undefined && known !== linking) {
          return refusal(401, "a user already exists with the specified provider", "InvalidSession")
        }
        if (known === undefined) {
          emails.set(email, linking.id)
          linking.identities.push({ id: email, provider_type: "local-userpass" })
        }
        return {
          status: 200,
          body: {
            access_token: accessToken(linking, bearer!.sessionId, now),
            user_id: linking.id,
            device_id: "000000000000000000000000"
          }
        }
      }
      case "refreshSession": {
        if (owner?.disabled === true) return refusal(401, "user disabled", "UserDisabled")
        const active_ = active("refresh")
        return active_ === undefined
          ? invalidSession
          : { status: 201, body: { access_token: accessToken(active_, bearer!.sessionId, now) } }
      }
      case "deleteSession":
        if (active("refresh") === undefined) return invalidSession
        sessions.delete(bearer!.sessionId)
        return { status: 204 }
      case "profile": {
        const known = active("access")
        return known === undefined ? invalidSession : {
          status: 200,
          body: {
            user_id: known.id,
            domain_id: "domain",
            type: "normal",
            identities: known.identities.map((identity) => ({ ...identity, provider_id: "provider" })),
            data: { name: known.id }
          }
        }
      }
      case "deleteUser": {
        const known = active("access")
        if (known === undefined) return invalidSession
        accounts.delete(known.id)
        for (const [id, userId] of sessions) if (userId === known.id) sessions.delete(id)
        return { status: 204 }
      }
      case "callFunction": {
        const known = active("access")
        if (known === undefined) return invalidSession
        const args = body["arguments"] as ReadonlyArray<unknown>
        calls.push({ userId: known.id, args })
        return { status: 200, body: { user: known.id, args } }
      }
      default:
        return refusal(404, "no such endpoint")
    }
  }

  const read = (request: HttpClientRequest.HttpClientRequest, url: URL, at: number) => {
    const found = endpoints.find(([method, path]) => method === request.method && path.test(url.pathname))
    if (found === undefined) throw new Error(`the model knows no ${request.method} ${url.pathname}`)
    const header = request.headers["authorization"]
    const payload = header?.split(".")[1]
    const claims: { readonly [claim: string]: unknown } | undefined = payload === undefined
      ? undefined
      : JSON.parse(Buffer.from(payload, "base64url").toString())
    const { body } = request
    const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : "{}"
    const one: Asked = {
      number: asked.length + 1,
      endpoint: found[2],
      link: url.searchParams.get("link") === "true",
      bearer: claims === undefined ? undefined : {
        kind: claims["typ"] === "access" ? "access" : "refresh",
        userId: String(claims["sub"]),
        sessionId: String(claims["sid"])
      },
      body: JSON.parse(text),
      at,
      until: undefined,
      ran: false,
      answered: false,
      aborted: false
    }
    return { claims, one }
  }

  const respond = (request: HttpClientRequest.HttpClientRequest, answer: Answer) => {
    const { body, contentType, headers = {}, status, text } = answer
    const content = text ?? (body === undefined ? undefined : JSON.stringify(body))
    const type = contentType ?? (body === undefined ? "" : "application/json")
    const response = HttpServerResponse.empty({ status, headers })
    return HttpServerResponse.toClientResponse(
      content === undefined ? response : HttpServerResponse.setBody(response, HttpBody.text(content, type)),
      { request }
    )
  }

  const answered = Effect.fnUntraced(function*(
    request: HttpClientRequest.HttpClientRequest,
    one: Asked,
    claims: { readonly [claim: string]: unknown } | undefined
  ) {
    const [there, back] = options.latency?.(one) ?? [0, 0]
    if (there > 0) yield* Effect.sleep(there)
    const now = (yield* Clock.currentTimeMillis) + skew + epoch
    const scripted = options.script?.(one)
    if (scripted === undefined) one.ran = true
    const answer = scripted ?? serve(one, claims, now)
    if (back > 0) yield* Effect.sleep(back)
    one.answered = true
    return respond(request, answer)
  })

  const client = HttpClient.make((request, url, signal) =>
    Effect.gen(function*() {
      const { claims, one } = read(request, url, yield* Clock.currentTimeMillis)
      asked.push(one)
      signal.addEventListener("abort", () => {
        one.aborted = true
      })
      return yield* Effect.ensuring(
        answered(request, one, claims),
        Effect.map(Clock.currentTimeMillis, (now) => {
          one.until = now
        })
      )
    })
  )

  return {
    layer: Layer.succeed(HttpClient.HttpClient, client),
    accounts,
    sessions,
    asked,
    calls,
    /** Everything that must not be printed. */
    secrets,
    register: (email: string) => {
      if (!emails.has(email)) emails.set(email, "")
    },
    /** Access tokens handed out so far are refused, refresh tokens are not. */
    expire: (userId: string) => {
      accounts.get(userId)!.validFrom = counter + 1
    },
    endSessions: (userId: string) => {
      for (const [id, owner] of sessions) if (owner === userId) sessions.delete(id)
    },
    count: (...wanted: ReadonlyArray<Endpoint>) => asked.filter(({ endpoint }) => wanted.includes(endpoint)).length,
    forget: () => {
      asked.length = 0
    }
  }
}

export type ModelServer = ReturnType<typeof make>
