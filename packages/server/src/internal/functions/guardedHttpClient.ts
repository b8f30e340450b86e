/**
 * The `HttpClient` for requests whose address somebody else may have chosen. Where names lead is looked at when the
 * connection is made, so that a name cannot lead elsewhere between the look and the connection.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as dns from "node:dns"
import type { LookupFunction } from "node:net"
import { isPublic } from "./publicAddress.ts"

/** Whether names of the request may lead to addresses that are not public. */
export const AnyAddress = Context.Reference<boolean>("@effect-realm/server/internal/guardedHttpClient/AnyAddress", {
  defaultValue: () => false
})

/** A name leads to no public address. */
export class PrivateAddressError extends Error {
  readonly code = "EPRIVATE"
}

const publicLookup: LookupFunction = (name, options, callback) => {
  dns.lookup(name, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, "")
    const addresses = found.filter(({ address }) => isPublic(address))
    const [first] = addresses
    if (first === undefined) return callback(new PrivateAddressError("the name leads to no public address"), "")
    if (options.all === true) return callback(null, addresses)
    callback(null, first.address, first.family)
  })
}

// Connections are kept apart too: a request for public addresses must not find one to a private address open.
const clientOf = (lookup: LookupFunction | undefined) =>
  Effect.flatMap(
    NodeHttpClient.makeDispatcherOptions(lookup === undefined ? {} : { connect: { lookup } }),
    (dispatcher) => Effect.provideService(NodeHttpClient.makeUndici, NodeHttpClient.Dispatcher, dispatcher)
  )

/** Made at the first request: most apps make none. */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    // Uninterruptible, as what an interrupted first request had made is for all others too.
    const lazily = (lookup?: LookupFunction) =>
      Effect.cached(Effect.uninterruptible(Scope.provide(clientOf(lookup), scope)))
    const guarded = yield* lazily(publicLookup)
    const open = yield* lazily()
    return HttpClient.make((request, _url, _signal, fiber) =>
      Effect.flatMap(fiber.getRef(AnyAddress) ? open : guarded, (client) => client.execute(request))
    )
  })
)
