/**
 * Which endpoint of the protocol a request is for, and whose token it carries, told from the request alone.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as Base64Url from "effect/encoding/Base64Url"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Bearer, EndpointName, Filter, Request } from "../Requests.ts"

interface Route {
  readonly name: EndpointName
  readonly method: string
  readonly path: string
  readonly matches: RegExp
}

const routes: ReadonlyArray<Route> = Object.entries(Endpoint).flatMap(([name, value]) =>
  HttpApiEndpoint.isHttpApiEndpoint(value)
    ? [{
      // The endpoints of the module are what `EndpointName` lists.
      name: name as EndpointName,
      method: value.method,
      path: value.path,
      // A base URL may have a path of its own in front.
      matches: new RegExp(`${value.path.replace(/:\w+/g, "[^/]+")}$`)
    }]
    : []
)

export interface Found {
  readonly endpoint: EndpointName | undefined
  readonly route: string
  readonly link: boolean
}

export const find = (request: HttpClientRequest.HttpClientRequest): Found => {
  const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
  const path = url?.pathname ?? request.url
  const route = routes.find(({ matches, method }) => method === request.method && matches.test(path))
  return {
    endpoint: route?.name,
    route: route?.path ?? path,
    link: url?.searchParams.get("link") === "true"
  }
}

const decodeClaims = Schema.decodeUnknownOption(Schema.fromJsonString(
  Schema.Struct({ sub: Schema.String, typ: Schema.Literals(["access", "refresh"]) })
))

export const bearer = (request: HttpClientRequest.HttpClientRequest): Bearer => {
  const header = request.headers["authorization"]
  if (header === undefined) return { _tag: "None" }
  const payload = Base64Url.decodeString(header.split(".")[1] ?? "")
  const claims = Result.isSuccess(payload) ? decodeClaims(payload.success) : Option.none()
  return Option.match(claims, {
    onNone: () => ({ _tag: "Unknown" }),
    onSome: ({ sub, typ }) => ({ _tag: typ === "access" ? "Access" : "Refresh", userId: sub })
  })
}

/** A request that leaves, as it is logged. */
export const leaving = (request: HttpClientRequest.HttpClientRequest, number: number, sentAt: number): Request => ({
  number,
  method: request.method,
  ...find(request),
  bearer: bearer(request),
  sentAt,
  outcome: { _tag: "Pending" }
})

/** Whether a request fits a filter. */
export const matches = (filter: Filter, request: Request): boolean =>
  (filter.endpoint === undefined || [filter.endpoint].flat().some((name) => name === request.endpoint)) &&
  (filter.userId === undefined || ("userId" in request.bearer && request.bearer.userId === filter.userId)) &&
  (filter.when === undefined || filter.when(request))
