/**
 * Which browser pages may call, and what they may read (protocol section 1.5).
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** The headers of an answer to a page of some origin, or why it gets none. */
export type Decision =
  | { readonly _tag: "Allowed"; readonly headers: { readonly [name: string]: string } }
  | { readonly _tag: "Refused"; readonly error: RealmError.AuthError }

const exposed = { "access-control-expose-headers": "x-baas-location, retry-after" }

const preflightHeaders = {
  "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
  "access-control-allow-headers": "authorization, content-type, accept, traceparent, tracestate, b3, baggage",
  "access-control-max-age": "7200"
}

const everyOrigin: Decision = { _tag: "Allowed", headers: { "access-control-allow-origin": "*", ...exposed } }
/** For requests that no page of a browser has sent. */
export const noOrigin: Decision = { _tag: "Allowed", headers: {} }

const named = (origin: string): Decision => ({
  _tag: "Allowed",
  headers: {
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    vary: "Origin",
    ...exposed
  }
})

/**
 * What an app with these origins decides about a request; no origins means all of them.
 *
 * @param asksForCookie whether a request asks for a cookie too: no page reads an answer to it that says `*`
 */
export const make = (
  allowedOrigins: ReadonlyArray<string>,
  asksForCookie: (request: HttpServerRequest) => boolean
): (request: HttpServerRequest) => Decision => {
  if (allowedOrigins.length === 0) {
    return (request) => {
      const { origin } = request.headers
      return origin === undefined ? noOrigin : asksForCookie(request) ? named(origin) : everyOrigin
    }
  }
  const listed = new Set(allowedOrigins)
  const unnamed: Decision = { _tag: "Allowed", headers: { vary: "Origin" } }
  return ({ headers }) => {
    const { origin } = headers
    if (origin === undefined) return unnamed
    return listed.has(origin)
      ? named(origin)
      : { _tag: "Refused", error: RealmError.make("DomainNotAllowed", "origin is not allowed by the app") }
  }
}

/** `true` for the question that a browser asks before it sends the request itself. */
export const isPreflight = (request: HttpServerRequest): boolean => request.method === "OPTIONS"

/** The answer to that question. */
export const preflight = (decision: Extract<Decision, { _tag: "Allowed" }>): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.empty({ status: 204, headers: { ...decision.headers, ...preflightHeaders } })
