/**
 * `context.http`: the requests that functions of an app make to other servers.
 *
 * A request goes to hosts of the public Internet only, as on App Services, whose functions had no other network: addresses of
 * the machine itself, of private networks and of the cloud's metadata are refused, also when a name or a redirect leads
 * there. {@link Options.allowedHosts} opens others, and closes the rest if need be.
 *
 * **What a function gives and gets** (App Services reference, section 4.4): `url`, or `scheme`, `host`, `path`, `query` and
 * `fragment`; `headers`, `cookies`, `body` (a text or a `BSON.Binary`), `encodeBodyAsJSON`, `form`, `username` and `password` (with
 * `digestAuth` for Digest), `authUrl` and `followRedirects`. It gets `{ status, statusCode, contentLength, headers, cookies, body }`, the body a
 * `BSON.Binary`; an answer of any status is an answer. What fails is an error of the `code` `InvalidParameter` (the request is
 * none), `NoMatchingRuleFound` (the host is not allowed) or `HTTPError` (no answer, too late, too large).
 */
import { Binary } from "bson"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpMethod from "effect/http/HttpMethod"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { STATUS_CODES } from "node:http"
import { isIP } from "node:net"
import * as Digest from "./internal/functions/digestAuth.ts"
import * as FunctionServices from "./internal/functions/functionServices.ts"
import { AnyAddress } from "./internal/functions/guardedHttpClient.ts"
import { headerName } from "./internal/functions/headerName.ts"
import { type HttpArguments, read } from "./internal/functions/httpArguments.ts"
import { isPublic } from "./internal/functions/publicAddress.ts"
import { TimeLimit } from "./internal/timeLimit.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What functions may ask of other servers. */
export interface Options {
  /**
   * Hosts that functions may reach: `*` for every host with a public address, a name or an address, or a name with `*.` in front
   * for all below it; with `:` and a port, or for all ports. A host that is named may have any address. Default:
   * `["*"]`. With an empty list functions make no requests.
   */
  readonly allowedHosts?: ReadonlyArray<string>
  /** Longest time from a request to the last byte of its answer, redirects included; default: 60 seconds. */
  readonly timeLimit?: Duration.Input
  /** Largest body of an answer, in bytes; default: 16 MiB. */
  readonly maxBody?: number
}

const Host = Schema.String.check(
  Schema.isPattern(/^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$/, {
    expected:
      "a host such as \"api.example\", \"*.example\", \"127.0.0.1:8080\" or \"[::1]:8080\", or \"*\" for all public ones"
  })
)

/**
 * Whether a text may be one of the hosts of {@link Options.allowedHosts}.
 *
 * ```ts
 * import { FunctionHttp } from "@effect-realm/server"
 *
 * FunctionHttp.isHost("*.example:8080") // => true
 * FunctionHttp.isHost("https://api.example") // => false
 * ```
 */
export const isHost: (text: string) => boolean = Schema.is(Host)

const OptionFields = Schema.Struct({
  allowedHosts: Schema.optionalKey(Schema.Array(Host)),
  timeLimit: Schema.optionalKey(TimeLimit),
  maxBody: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))
})

const checkOptions = Schema.decodeUnknownSync(OptionFields)

// -----------------------------------------------------------------------------
// Hosts
// -----------------------------------------------------------------------------

/** Whether a host may be reached: whatever its address, if that is public, or not at all. */
type Permission = "any" | "public" | "none"

const permissionBy = (allowedHosts: ReadonlyArray<string>): (url: URL) => Permission => {
  const rules = allowedHosts.map((host) => {
    const [, name = "", port] = /^(.*?)(?::([0-9]+))?$/.exec(host.toLowerCase())!
    // As a URL spells it: 127.1 is 127.0.0.1.
    const spelled = name.includes("*") ? name : new URL(`http://${name}`).hostname
    return { name: spelled, port }
  })
  return ({ hostname, port, protocol }) => {
    const actual = port === "" ? (protocol === "https:" ? "443" : "80") : port
    let permission: Permission = "none"
    for (const rule of rules) {
      if (rule.port !== undefined && rule.port !== actual) continue
      if (rule.name === "*") permission = "public"
      else if (rule.name.startsWith("*.") ? hostname.endsWith(rule.name.slice(1)) : hostname === rule.name) return "any"
    }
    if (permission === "none") return "none"
    const address = hostname.replace(/^\[|\]$/g, "")
    if (isIP(address) === 0) return /(?:^|\.)localhost\.?$/.test(address) ? "none" : "public"
    return isPublic(address) ? "public" : "none"
  }
}

// -----------------------------------------------------------------------------
// Requests
// -----------------------------------------------------------------------------

const methods: { readonly [operation: string]: HttpMethod.HttpMethod } = {
  get: "GET",
  post: "POST",
  put: "PUT",
  patch: "PATCH",
  delete: "DELETE",
  head: "HEAD"
}

const maxRedirects = 10

const failure = (code: "HTTPError" | "NoMatchingRuleFound", message: string): FunctionServices.FunctionServiceError =>
  new FunctionServices.FunctionServiceError({ errorName: code, message, code })

const forbidden = ({ host }: URL): FunctionServices.FunctionServiceError =>
  failure(
    "NoMatchingRuleFound",
    `functions may not reach "${host}": it is not among the allowed hosts, or its address is not public`
  )

/** What went wrong, without the URL, which may hold a secret. */
const unreachable = (url: URL, { reason }: HttpClientError.HttpClientError) => {
  const cause: unknown = "cause" in reason ? reason.cause : undefined
  const { code, message } = (typeof cause === "object" && cause !== null ? cause : {}) as {
    readonly code?: unknown
    readonly message?: unknown
  }
  if (code === "EPRIVATE") return forbidden(url)
  const words = [code, message, reason._tag].find((text) => typeof text === "string" && text !== "")
  return failure("HTTPError", `no answer from "${url.host}": ${String(words)}`)
}

/** One request of those that redirects and challenges make of one. */
interface Step {
  readonly method: HttpMethod.HttpMethod
  readonly url: URL
  readonly headers: { readonly [name: string]: string }
  readonly cookies: { readonly [name: string]: string }
  readonly body: HttpArguments["body"]
}

interface Answer {
  readonly statusCode: number
  readonly headers: { readonly [name: string]: string }
  readonly cookies: { readonly [name: string]: string }
  readonly setCookies: ReadonlyArray<string>
  readonly bytes: Uint8Array
}

const cookieHeader = (cookies: Step["cookies"]): string =>
  Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join("; ")

const without = (headers: Step["headers"], ...names: ReadonlyArray<string>): Step["headers"] =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name.toLowerCase())))

/** Where a redirect leads to, by the rules of fetch. */
const redirected = (step: Step, { headers, statusCode }: Answer): Step | undefined => {
  const location = headers["location"]
  if (![301, 302, 303, 307, 308].includes(statusCode) || location === undefined) return undefined
  if (!URL.canParse(location, step.url)) return undefined
  const url = new URL(location, step.url)
  const toGet = statusCode === 303
    ? step.method !== "GET" && step.method !== "HEAD"
    : statusCode < 303 && step.method === "POST"
  const away = url.origin !== step.url.origin
  return {
    method: toGet ? "GET" : step.method,
    url,
    // What is meant for one server is not for another.
    headers: without(
      step.headers,
      ...(away ? ["authorization", "cookie", "proxy-authorization", "host"] : []),
      ...(toGet ? ["content-type", "content-encoding", "content-language", "content-location", "content-length"] : [])
    ),
    cookies: away ? {} : step.cookies,
    body: toGet ? undefined : step.body
  }
}

const resultOf = ({ bytes, cookies, headers, setCookies, statusCode }: Answer) => {
  const length = Number(headers["content-length"] ?? bytes.length)
  return {
    status: `${statusCode} ${STATUS_CODES[statusCode] ?? ""}`.trimEnd(),
    statusCode,
    contentLength: Number.isSafeInteger(length) ? length : bytes.length,
    headers: {
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [headerName(name), [value]])),
      ...(setCookies.length > 0 && { "Set-Cookie": setCookies })
    },
    cookies,
    body: new Binary(bytes)
  }
}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * `context.http` for the functions of an app, over the `HttpClient` of the context. Provide it to `Functions.layer`; `RealmServer.layer`
 * does, with its options `http` and `httpClient`.
 *
 * Whether a name leads to a public address is for the `HttpClient` to see, as only it knows when it connects. That of
 * `RealmServer` does; others are trusted with names, and never given the address of a private network that is not allowed.
 *
 * Throws a `SchemaError` that names the field when an option is of the wrong type.
 *
 * ```ts
 * import { AppDefinition, FunctionHttp, Functions } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   functions: [{
 *     name: "rate",
 *     source: `exports = async () => {
 *       const { body } = await context.http.get({ url: "https://rates.example/eur" })
 *       return JSON.parse(body.text()).rate
 *     }`
 *   }]
 * })
 *
 * const rates = HttpClient.make((request) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ rate: 1.25 })))
 * )
 * const layer = Functions.layer(app).pipe(
 *   Layer.provide(FunctionHttp.layer({ allowedHosts: ["rates.example"] })),
 *   Layer.provide(Layer.succeed(HttpClient.HttpClient, rates))
 * )
 *
 * const rate = Functions.Functions.use((functions) =>
 *   functions.call({ name: "rate", args: [], caller: Functions.server })
 * )
 * String(await Effect.runPromise(Effect.provide(rate, layer))) // => "1.25"
 * ```
 */
export const layer = (options: Options = {}): Layer.Layer<never, never, HttpClient.HttpClient> => {
  checkOptions(options)
  const timeLimit = Duration.fromInputUnsafe(options.timeLimit ?? "60 seconds")
  const maxBody = options.maxBody ?? 16 * 1024 * 1024
  const permissionOf = permissionBy(options.allowedHosts ?? ["*"])

  const make = (client: HttpClient.HttpClient): FunctionServices.FunctionService => {
    const receive = Effect.fnUntraced(function*(
      step: Step
    ): Effect.fn.Return<Answer, FunctionServices.FunctionServiceError> {
      const { body, cookies, headers, method, url } = step
      const permission = permissionOf(url)
      if (permission === "none") return yield* forbidden(url)
      const unsent = (error: HttpClientError.HttpClientError) => unreachable(url, error)

      const given = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
      const cookie = cookieHeader(cookies)
      let request = HttpClientRequest.make(method)(url, {
        headers: {
          "user-agent": "effect-realm",
          ...given,
          ...(cookie !== "" && { cookie: given["cookie"] === undefined ? cookie : `${given["cookie"]}; ${cookie}` })
        }
      })
      if (body !== undefined) {
        request = HttpClientRequest.setBody(
          request,
          HttpBody.uint8Array(body.bytes, given["content-type"] ?? body.contentType)
        )
      }
      const response = yield* client.execute(request).pipe(
        Effect.provideService(AnyAddress, permission === "any"),
        // Its span would hold the URL, and the other server would be told of our trace.
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
        Effect.mapError(unsent)
      )
      const chunks: Array<Uint8Array> = []
      let size = 0
      if (method !== "HEAD") {
        yield* Stream.runForEach(Stream.mapError(response.stream, unsent), (chunk) => {
          size += chunk.length
          chunks.push(chunk)
          return size <= maxBody
            ? Effect.void
            : Effect.fail(failure("HTTPError", `the answer of "${url.host}" is larger than ${maxBody} bytes`))
        })
      }
      const { cookies: set } = response
      return {
        statusCode: response.status,
        headers: response.headers,
        cookies: Object.fromEntries(Object.values(set.cookies).map(({ name, value }) => [name, value])),
        setCookies: Cookies.toSetCookieHeaders(set),
        bytes: Buffer.concat(chunks)
      }
    })

    const follow = Effect.fnUntraced(function*(
      first: Step,
      redirects: number
    ): Effect.fn.Return<Answer, FunctionServices.FunctionServiceError> {
      let step = first
      for (let count = 0;; count++) {
        const answer = yield* receive(step)
        const next = redirects === 0 ? undefined : redirected(step, answer)
        if (next === undefined) return answer
        if (count === redirects) {
          return yield* failure("HTTPError", `"${first.url.host}" redirects more than ${redirects} times`)
        }
        step = next
      }
    })

    const perform = Effect.fnUntraced(function*(
      method: HttpMethod.HttpMethod,
      request: HttpArguments
    ): Effect.fn.Return<Answer, FunctionServices.FunctionServiceError> {
      const { authUrl, body, digestAuth, followRedirects, headers, url, user } = request
      const granted = authUrl === undefined
        ? {}
        : (yield* follow({ method: "GET", url: authUrl, headers: {}, cookies: {}, body: undefined }, maxRedirects))
          .cookies
      const step: Step = { method, url, headers, cookies: { ...granted, ...request.cookies }, body }
      const redirects = followRedirects ? maxRedirects : 0
      if (user === undefined) return yield* follow(step, redirects)
      const { name: username, password } = user
      const authorized = (authorization: string): Step => ({
        ...step,
        headers: { ...without(headers, "authorization"), authorization }
      })
      if (!digestAuth) {
        const basic = Buffer.from(`${username}:${password}`).toString("base64")
        return yield* follow(authorized(`Basic ${basic}`), redirects)
      }
      const refused = yield* follow(step, redirects)
      const challenge = refused.statusCode === 401
        ? Digest.challenge(refused.headers["www-authenticate"] ?? "")
        : undefined
      if (challenge === undefined) return refused
      const path = url.pathname + url.search
      return yield* follow(
        authorized(Digest.authorization(challenge, { method, path, username, password })),
        redirects
      )
    })

    return {
      name: "http",
      kind: "http",
      // As many sockets as a function had on App Services.
      concurrency: 25,
      handle: Effect.fnUntraced(function*(_, operation, [argument]) {
        const method = methods[operation]!
        const request = yield* Effect.try({
          try: () => read(argument),
          // It throws nothing else.
          catch: (error) => error as FunctionServices.FunctionServiceError
        })
        const answer = yield* Effect.timeoutOrElse(perform(method, request), {
          duration: timeLimit,
          orElse: () =>
            Effect.fail(
              failure("HTTPError", `no whole answer from "${request.url.host}" in ${Duration.format(timeLimit)}`)
            )
        })
        return resultOf(answer)
      })
    }
  }

  return Layer.effectContext(Effect.map(HttpClient.HttpClient, (client) => FunctionServices.context(make(client))))
}
