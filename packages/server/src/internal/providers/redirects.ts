/**
 * Log-ins and links by way of a provider's own page (protocol section 3.7): out to the provider, and back to the page that
 * somebody began at, with what became of it behind the `#`, where no server on the way sees it.
 */
import { Api } from "@effect-realm/protocol/Api"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Authentication, type Linked, type LoggedIn } from "../../Authentication.ts"
import { Sessions } from "../../Sessions.ts"
import * as PublicUrl from "../http/publicUrl.ts"
import * as Refusal from "../http/refusal.ts"
import type { Served } from "../served.ts"
import * as LogIns from "./logIns.ts"
import * as OAuthFlows from "./oauthFlows.ts"
import * as OAuthProviders from "./oauthProviders.ts"

type Sent = {
  readonly params: { readonly appId: string }
  readonly query: {
    readonly redirect: string
    readonly state: string
    readonly device?: string
    readonly link?: "true" | "false"
    readonly providerRedirectHeader?: "true" | "false"
  }
  readonly request: HttpServerRequest
}

const longestState = 512

const Device = Schema.StringFromBase64.pipe(Schema.decodeTo(Schema.fromJsonString(Endpoint.Device)))

const decodeDevice = Schema.decodeUnknownEffect(Device)

const encodeRedirected = Schema.encodeSync(Endpoint.Redirected)

// Tokens are in the address: nobody may keep it, and no page may be told where its visitor came from.
const headers = { "cache-control": "no-store", "referrer-policy": "no-referrer" }

/** An address with fields behind its `#`. Clients do not read `+` as a space. */
const withFields = (page: string, fields: typeof Endpoint.Redirected.Type): string =>
  `${page}#${
    Object.entries(encodeRedirected(fields))
      .flatMap(([name, value]) => value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`])
      .join("&")
  }`

const userAuth = (answer: LoggedIn | Linked): Redacted.Redacted =>
  Redacted.make([
    Redacted.value(answer.accessToken),
    "refreshToken" in answer ? Redacted.value(answer.refreshToken) : "",
    answer.userId,
    answer.deviceId
  ].join("$"))

/** The way out. */
const out =
  ({ app, place }: Served, logIns: LogIns.LogIns["Service"], flows: OAuthFlows.OAuthFlows) =>
  (name: OAuthProviders.Name) =>
  ({ params, query, request }: Sent) =>
    Effect.gen(function*() {
      yield* LogIns.known(app.appId, params.appId)
      const provider = logIns.redirecting[name]
      if (provider === undefined) return yield* LogIns.unsupported(OAuthProviders.providerTypes[name])
      if (!provider.redirectUris.includes(query.redirect)) {
        return yield* RealmError.make("InvalidRedirectURI", "redirect URI is not one of the provider's redirect_uris")
      }
      if (query.state === "" || query.state.length > longestState) {
        return yield* RealmError.make("BadRequest", `invalid query: state has to be 1 to ${longestState} characters`)
      }
      const device = query.device === undefined ? {} : yield* Effect.mapError(
        decodeDevice(query.device),
        () => RealmError.make("BadRequest", "invalid query: device")
      )
      const isLink = query.link === "true"
      const active = isLink ? yield* logIns.linking(request) : undefined
      const origin = place.publicUrl ?? PublicUrl.fromRequest(request)
      const callback = origin + Endpoint.redirectBack.path
      const { browser, state } = yield* flows.begin({
        provider: name,
        redirect: query.redirect,
        state: query.state,
        callback,
        device,
        link: active === undefined ? null : { userId: active.user.id, sessionId: active.session.id }
      })
      const { challenge, nonce } = OAuthFlows.proofOf(browser)
      const url = yield* provider.authorizationUrl({ redirectUri: callback, state, challenge, nonce })
      const isSecure = origin.startsWith("https:")
      const response = isLink || query.providerRedirectHeader === "true"
        ? HttpServerResponse.empty({ status: 200, headers: { ...headers, [Endpoint.redirectHeader]: url } })
        : HttpServerResponse.redirect(url, { headers })
      return HttpServerResponse.setCookieUnsafe(response, OAuthFlows.cookieOf(state), Redacted.value(browser), {
        path: Endpoint.redirectBack.path,
        maxAge: OAuthFlows.lifetime,
        httpOnly: true,
        secure: isSecure,
        // A page of another site gets its cookie by a request of its own, which `lax` does not allow.
        sameSite: isLink && isSecure ? "none" : "lax"
      })
    }).pipe(Refusal.handle(place))

const lost = RealmError.make(
  "BadRequest",
  "this log-in is over, took longer than ten minutes, or began in another browser: begin anew"
)

/** The way back. */
const back = (
  { app, place }: Served,
  logIns: LogIns.LogIns["Service"],
  flows: OAuthFlows.OAuthFlows,
  authentication: Authentication["Service"],
  sessions: Sessions["Service"]
) => {
  const settle = Effect.fnUntraced(function*(
    flow: OAuthFlows.Flow,
    browser: Redacted.Redacted,
    code: string | undefined
  ) {
    const provider = logIns.redirecting[flow.provider]
    if (provider === undefined) return yield* LogIns.unsupported(OAuthProviders.providerTypes[flow.provider])
    // Whoever changed their mind at the provider's page comes back without one.
    if (code === undefined || code === "") return yield* RealmError.make("AuthError", "the provider gave no permission")
    const { nonce, verifier } = OAuthFlows.proofOf(browser)
    const prove = provider.prove({ code: Redacted.make(code), redirectUri: flow.callback, nonce, verifier })
    if (flow.link === null) {
      return yield* Effect.flatMap(prove, (identity) => authentication.logIn({ identity, device: flow.device }))
    }
    const active = yield* sessions.find(flow.link)
    return yield* Effect.flatMap(prove, (identity) => authentication.link({ active, identity }))
  })

  return ({ query, request }: {
    readonly query: { readonly state?: string; readonly code?: string; readonly error?: string }
    readonly request: HttpServerRequest
  }) =>
    Effect.gen(function*() {
      const { code, error, state = "" } = query
      const cookie = OAuthFlows.cookieOf(state)
      const browser = Redacted.make(request.cookies[cookie] ?? "")
      const flow = yield* flows.take(state, browser)
      if (flow === undefined) return yield* lost
      const known = { state: flow.state, appId: app.appId }
      const fields = yield* settle(flow, browser, error === undefined ? code : undefined).pipe(
        Effect.map((answer): typeof Endpoint.Redirected.Type => ({
          ...known,
          userAuth: userAuth(answer),
          ...flow.link === null ? undefined : { link: "ok" }
        })),
        Refusal.handle(place),
        Effect.catch((error) => {
          const { error: words, error_code: errorCode } = RealmError.toWire(error)
          return Effect.succeed<typeof Endpoint.Redirected.Type>({
            ...known,
            error: words,
            ...errorCode === undefined ? undefined : { errorCode }
          })
        })
      )
      return HttpServerResponse.redirect(withFields(flow.redirect, fields), { headers }).pipe(
        HttpServerResponse.expireCookieUnsafe(cookie, { path: Endpoint.redirectBack.path })
      )
    }).pipe(Refusal.handle(place))
}

/** Apple posts a form. A browser sends along no cookie with what another site posts, but it does when it is sent on. */
const posted = (request: HttpServerRequest) =>
  Effect.gen(function*() {
    const form = yield* Effect.orElseSucceed(request.urlParamsBody, () => UrlParams.empty)
    const fields = ["state", "code", "error"].flatMap((name) => {
      const value = Option.getOrUndefined(UrlParams.getFirst(form, name))
      return value === undefined ? [] : [[name, value] as const]
    })
    const location = `${Endpoint.redirectBack.path}?${UrlParams.toString(UrlParams.fromInput(fields))}`
    return HttpServerResponse.redirect(location, { status: 303, headers })
  })

/** Whether a request is such a post, which comes from another site and as a form by its nature. */
export const isPosted = (request: HttpServerRequest): boolean =>
  request.method === "POST" && request.url.split("?")[0] === Endpoint.redirectBack.path

/** Whether a request is a page's own that begins a link, or the question whether it may be sent. */
export const beginsLink = ({ url }: HttpServerRequest): boolean =>
  /\/oauth2-(?:google|facebook|apple)\/login\?(?:.*&)?link=true(?:&|$)/.test(url)

/** The endpoints, and the route for Apple. */
export const layer = (served: Served) => {
  const group = HttpApiBuilder.group(Api, "redirects", (handlers) =>
    Effect.gen(function*() {
      const logIns = yield* LogIns.LogIns
      const flows = yield* OAuthFlows.make(served.ids)
      const to = out(served, logIns, flows)
      return handlers
        .handleRaw("redirectToGoogle", to("google"))
        .handleRaw("redirectToFacebook", to("facebook"))
        .handleRaw("redirectToApple", to("apple"))
        .handleRaw("redirectBack", back(served, logIns, flows, yield* Authentication, yield* Sessions))
    }))
  return Layer.merge(group, HttpRouter.add("POST", Endpoint.redirectBack.path, posted))
}
