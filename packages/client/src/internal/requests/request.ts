/**
 * What is sent to an endpoint of the protocol: address, bearer and body, made of what the endpoint declares; and what of it
 * nobody may see in an error.
 */
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as UrlParams from "effect/http/UrlParams"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

type Params<E> = HttpApiEndpoint.Params<E>["Type"]
type Payload<E> = HttpApiEndpoint.Payload<E>["Type"]
type Query<E> = HttpApiEndpoint.Query<E>["Type"]

/** The parts of an endpoint that sending a request needs. */
export interface AnyEndpoint extends HttpApiEndpoint.ConstraintRequest {
  readonly identifier: string
  readonly method: HttpMethod
  readonly path: string
  readonly payload: HttpApiEndpoint.PayloadMap
  readonly success: ReadonlySet<Schema.Top>
  readonly error: ReadonlySet<Schema.Top>
}

/** What goes into a request: only what the endpoint declares. */
export type Input<E> =
  & {
    readonly baseUrl: string
    readonly bearer?: Redacted.Redacted
    /** Secrets in the payload beside those that are `Redacted`, to keep them out of errors. */
    readonly secrets?: ReadonlyArray<string>
  }
  & ([HttpApiEndpoint.Params<E>] extends [never] ? unknown : { readonly params: Params<E> })
  & ([HttpApiEndpoint.Payload<E>] extends [never] ? unknown : { readonly payload: Payload<E> })
  & ([HttpApiEndpoint.Query<E>] extends [never] ? unknown : { readonly query?: Query<E> })

/** {@link Input} with the parts that any endpoint may have. */
export interface Untyped {
  readonly baseUrl: string
  readonly bearer?: Redacted.Redacted
  readonly params?: { readonly [name: string]: string }
  readonly query?: { readonly [name: string]: string | Redacted.Redacted | undefined }
  readonly payload?: unknown
  readonly secrets?: ReadonlyArray<string>
}

/** The address of a request that somebody else sends: a browser. */
export const address = <E extends AnyEndpoint>(endpoint: E, input: Input<E>): string => {
  const { query } = input as Untyped
  return `${addressOf(endpoint, input as Untyped)}?${UrlParams.toString(UrlParams.fromInput(query ?? {}))}`
}

const addressOf = (
  { path }: { readonly path: string },
  { baseUrl, params }: Pick<Untyped, "baseUrl" | "params">
): string =>
  baseUrl + (params === undefined
    ? path
    : path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? "")))

/** A body that shows its length and nothing else, to whoever prints a request: there may be a password in it. */
class HiddenBody extends HttpBody.Uint8Array {
  override toJSON(): unknown {
    const { _tag, contentLength, contentType } = this
    return { _id: "effect/HttpBody", _tag, contentType, contentLength }
  }
}

const hidden = (json: string): HiddenBody => {
  const { contentLength, contentType } = HttpBody.text(json, "application/json")
  return new HiddenBody(undefined, contentType, contentLength, json)
}

const payloadEncoder = (endpoint: AnyEndpoint): ((payload: unknown) => unknown) | undefined => {
  for (const { schemas } of endpoint.payload.values()) {
    // The schemas of our endpoints need no services, and a payload is made by this package from checked values.
    return Schema.encodeUnknownSync(schemas[0] as Schema.Codec<unknown, unknown>)
  }
  return undefined
}

/**
 * A maker of requests to an endpoint. A payload of wrong types is refused when it is called, with the field named.
 *
 * @param accept the content type of the answer
 */
export const maker = (
  endpoint: AnyEndpoint,
  accept: string
): (input: Untyped) => HttpClientRequest.HttpClientRequest => {
  const encode = payloadEncoder(endpoint)

  return (input) => {
    let request = HttpClientRequest.make(endpoint.method)(addressOf(endpoint, input), { accept })
    if (input.query !== undefined) request = HttpClientRequest.setUrlParams(request, input.query)
    if (input.bearer !== undefined) request = HttpClientRequest.bearerToken(request, input.bearer)
    return encode === undefined
      ? request
      : HttpClientRequest.setBody(request, hidden(JSON.stringify(encode(input.payload))))
  }
}

// -----------------------------------------------------------------------------
// Secrets
// -----------------------------------------------------------------------------

// Whatever looks like a token is taken out of what an error may show.
const jsonWebToken = /eyJ[\w-]*(?:\.[\w-]*){0,2}/g

// Tokens of other kinds, in texts that are not the words of a server of ours.
const otherToken = /[\w-]{8,}\.[\w-]{8,}\.[\w-]*|("(?:access|refresh)_token"\s*:\s*")[^"]+/g

// As in a JSON body, or in a text that quotes one.
const quoted = (text: string): string => JSON.stringify(text).slice(1, -1)

/** A text without the secrets of a request: a proxy or a server may send back what it was sent. */
export const withoutSecrets = ({ bearer, payload, query, secrets = [] }: Untyped, text: string): string =>
  [bearer, query, payload]
    .flatMap((part) => Predicate.isReadonlyObject(part) && !Redacted.isRedacted(part) ? Object.values(part) : [part])
    .flatMap((value) => Redacted.isRedacted(value) ? [String(Redacted.value(value))] : [])
    .concat(secrets)
    .flatMap((secret) => secret === "" ? [] : [secret, quoted(secret), quoted(quoted(secret))])
    .reduce((shown, secret) => shown.replaceAll(secret, "<redacted>"), text)
    .replace(jsonWebToken, "<redacted>")

/** What an error may show of a text that somebody else than a server of ours may have written. */
export const excerptOf = (input: Untyped, text: string): string =>
  withoutSecrets(input, text).replace(otherToken, "$1<redacted>")
