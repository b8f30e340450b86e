/**
 * What the clients are measured against: the least that answers like the server of an app, with nothing behind it. It
 * is served over a socket by `programs/answerer.ts`, and in memory by `MemoryTransport.ts`.
 */

/** The client app id, that of the sample app. */
export const appId = "shop-abcde"

const base = "/api/client/v2.0"

export const callPath = `${base}/app/${appId}/functions/call`

/** The call that every client makes: `sum(1, 2)` in canonical Extended JSON. */
export const callBody = JSON.stringify({ name: "sum", arguments: [{ $numberInt: "1" }, { $numberInt: "2" }] })

/** An answer, always JSON. */
export interface Answer {
  readonly status: number
  readonly body: string
}

/** What was asked since the last {@link PlainServer.expire}. */
export interface Counts {
  readonly requests: number
  readonly exchanges: number
}

export interface PlainServer {
  readonly answer: (method: string, path: string, authorization: string | undefined, origin: string) => Answer
  /** From now on every access token handed out so far is expired. */
  readonly expire: () => void
  readonly counts: () => Counts
}

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

const header = base64({ alg: "HS256", typ: "JWT" })
const noDevice = "0".repeat(24)
const domainId = "63691c2fbd8a0d9f6e0ab7c5"

const hex = (counter: number): string => counter.toString(16).padStart(24, "0")

const ok = (body: unknown): Answer => ({ status: 200, body: JSON.stringify(body) })

const sum = ok({ $numberInt: "3" })

const expired: Answer = {
  status: 401,
  body: JSON.stringify({ error: "invalid session: access token expired", error_code: "InvalidSession" })
}

export const make = (): PlainServer => {
  let users = 0
  let epoch = 0
  let requests = 0
  let exchanges = 0

  // Stands where the signature would, so that one look at the end of a token tells whether it is expired.
  const mark = () => String(epoch).padStart(43, "x")
  let current = mark()

  const accessToken = (userId: string): string => {
    const iat = Math.floor(Date.now() / 1000)
    const claims = {
      baas_device_id: noDevice,
      baas_domain_id: domainId,
      exp: iat + 1800,
      iat,
      iss: userId,
      stitch_devId: noDevice,
      stitch_domainId: domainId,
      sub: userId,
      typ: "access",
      user_data: {}
    }
    return `${header}.${base64(claims)}.${current}`
  }

  const refreshToken = (userId: string): string => {
    const iat = Math.floor(Date.now() / 1000)
    const identity = { id: hex(users), provider_type: "anon-user", provider_id: domainId }
    const claims = {
      baas_data: null,
      baas_device_id: noDevice,
      baas_domain_id: domainId,
      baas_id: userId,
      baas_identity: identity,
      exp: iat + 5_184_000,
      iat,
      stitch_data: null,
      stitch_devId: noDevice,
      stitch_domainId: domainId,
      stitch_id: userId,
      stitch_ident: identity,
      sub: userId,
      typ: "refresh"
    }
    return `${header}.${base64(claims)}.${current}`
  }

  const subjectOf = (authorization: string | undefined): string => {
    const claims: unknown = JSON.parse(Buffer.from(authorization?.split(".")[1] ?? "", "base64url").toString())
    return String(Reflect.get(Object(claims), "sub"))
  }

  return {
    answer: (method, path, authorization, origin) => {
      requests++
      if (path === callPath) return authorization?.endsWith(current) ? sum : expired
      if (path.endsWith("/login")) {
        const userId = hex(++users)
        return ok({
          access_token: accessToken(userId),
          refresh_token: refreshToken(userId),
          user_id: userId,
          device_id: noDevice
        })
      }
      if (path.endsWith("/auth/profile")) {
        const userId = subjectOf(authorization)
        const identity = { id: userId, provider_type: "anon-user", provider_id: domainId }
        return ok({ user_id: userId, domain_id: domainId, type: "normal", data: {}, identities: [identity] })
      }
      if (path.endsWith("/auth/session") && method === "POST") {
        exchanges++
        return { status: 201, body: JSON.stringify({ access_token: accessToken(subjectOf(authorization)) }) }
      }
      if (path.endsWith("/location")) {
        return ok({ deployment_model: "LOCAL", location: "IE", hostname: origin, ws_hostname: origin })
      }
      return { status: 404, body: JSON.stringify({ error: "no such endpoint", error_code: "Unknown" }) }
    },
    expire: () => {
      epoch++
      current = mark()
      requests = 0
      exchanges = 0
    },
    counts: () => ({ requests, exchanges })
  }
}

const headers = { "content-type": "application/json" }

/** A web response for an answer. */
export const toResponse = ({ body, status }: Answer): Response => new Response(body, { status, headers })
