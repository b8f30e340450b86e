/** Facebook's Graph API as far as log-ins need it, on this machine. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createHmac } from "node:crypto"
import { createServer } from "node:http"
import { text } from "node:stream/consumers"
import * as Issuer from "./issuer.ts"

export const app = { id: "1234567890", secret: "the secret of the shop's Facebook app" }

export interface Facebook {
  readonly url: string
  /** What Graph knows of each token. */
  readonly tokens: Map<string, { readonly inspected: object; readonly user: { readonly [field: string]: unknown } }>
  /** The token for each code, good once. */
  readonly codes: Map<string, string>
  /** Path and query of each request. */
  readonly requests: Array<string>
  /** Answers this in place of everything. */
  broken: { readonly status: number; readonly body: string } | undefined
}

export const inspected = (userId: string) => ({ app_id: app.id, is_valid: true, user_id: userId, type: "USER" })

export const make: Effect.Effect<Facebook, never, Scope.Scope> = Effect.gen(function*() {
  const state: Omit<Facebook, "url"> = { tokens: new Map(), codes: new Map(), requests: [], broken: undefined }

  const answer = (url: URL, authorization: string, body: URLSearchParams): readonly [number, unknown] => {
    const refused = [400, { error: { message: "no luck", code: 190 } }] as const
    switch (url.pathname) {
      case "/debug_token": {
        if (authorization !== `Bearer ${app.id}|${app.secret}`) return refused
        const known = state.tokens.get(url.searchParams.get("input_token") ?? "")
        return [200, { data: known?.inspected ?? { is_valid: false } }]
      }
      case "/me": {
        const token = authorization.replace(/^Bearer /, "")
        const proof = createHmac("sha256", app.secret).update(token).digest("hex")
        const known = state.tokens.get(token)
        if (known === undefined || url.searchParams.get("appsecret_proof") !== proof) return refused
        const fields = new Set(url.searchParams.get("fields")?.split(","))
        return [200, Object.fromEntries(Object.entries(known.user).filter(([name]) => fields.has(name)))]
      }
      case "/oauth/access_token": {
        const code = body.get("code") ?? ""
        const token = state.codes.get(code)
        if (token === undefined || body.get("client_secret") !== app.secret || body.get("client_id") !== app.id) {
          return refused
        }
        state.codes.delete(code)
        return [200, { access_token: token, token_type: "bearer" }]
      }
      default:
        return [404, {}]
    }
  }

  const server = createServer((request, response) => {
    void text(request).then((body) => {
      state.requests.push(request.url ?? "")
      if (state.broken !== undefined) {
        response.writeHead(state.broken.status).end(state.broken.body)
        return
      }
      const asked = new URL(request.url ?? "", "http://graph")
      if (asked.pathname === "/dialog/oauth") {
        // The page for a log-in, with somebody in front of it who agrees.
        const location = new URL(asked.searchParams.get("redirect_uri") ?? "")
        location.searchParams.set("state", asked.searchParams.get("state") ?? "")
        location.searchParams.set("code", [...state.codes.keys()][0] ?? "")
        response.writeHead(302, { location: location.href }).end()
        return
      }
      const [status, answered] = answer(
        asked,
        request.headers.authorization ?? "",
        new URLSearchParams(body)
      )
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answered))
    })
  })
  return Object.assign(state, { url: yield* Issuer.listen(server) })
})
