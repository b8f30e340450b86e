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
import type { LookupOptions } from "node:dns"
import { Resolver } from "node:dns/promises"
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

const familiesOf = (family: LookupOptions["family"]): ReadonlyArray<4 | 6> =>
  family === 4 || family === "IPv4" ? [4] : family === 6 || family === "IPv6" ? [6] : [4, 6]

/**
 * Finds the public addresses of a name. Not by `dns.lookup`, which waits in the threads that passwords are hashed in: a server
 * of names that says nothing would keep every log-in waiting.
 */
export const publicLookup = (makeResolver: () => Resolver): LookupFunction => (name, { all, family }, callback) => {
  const families = familiesOf(family)
  // A new one each time asks the servers that the system names now.
  const resolver = makeResolver()
  const answers = families.map((family) => family === 4 ? resolver.resolve4(name) : resolver.resolve6(name))
  void Promise.allSettled(answers).then((answers) => {
    const found = answers.flatMap((answer, index) =>
      answer.status === "rejected" ? [] : answer.value.map((address) => ({ address, family: families[index]! }))
    )
    const failed = answers.find((answer) => answer.status === "rejected")
    // It rejects with nothing else.
    if (found.length === 0 && failed !== undefined) return callback(failed.reason as NodeJS.ErrnoException, "")
    const addresses = found.filter(({ address }) => isPublic(address))
    const [first] = addresses
    if (first === undefined) return callback(new PrivateAddressError("the name leads to no public address"), "")
    if (all === true) return callback(null, addresses)
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
    const guarded = yield* lazily(publicLookup(() => new Resolver()))
    const open = yield* lazily()
    return HttpClient.make((request, _url, _signal, fiber) =>
      Effect.flatMap(fiber.getRef(AnyAddress) ? open : guarded, (client) => client.execute(request))
    )
  })
)
