/**
 * The server of an app on a port of this machine.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as UrlParams from "effect/http/UrlParams"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { createServer, type Server, STATUS_CODES } from "node:http"
import type { Socket } from "node:net"
import type { Database } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import * as Streams from "./internal/http/streams.ts"
import * as RealmServer from "./RealmServer.ts"

// -----------------------------------------------------------------------------
// Options
// -----------------------------------------------------------------------------

/** {@link RealmServer.Options}, and where to listen. */
export interface Options<E = never, R = never> extends RealmServer.Options<E, R> {
  /** TCP port; 0, the default, takes one that is free. */
  readonly port?: number
  /**
   * Address to listen on; `127.0.0.1` by default, which this machine alone can reach. `0.0.0.0` is all of its addresses,
   * `::` those of IPv6 too.
   */
  readonly host?: string
  /** How long requests in flight may go on once the server is told to stop, in milliseconds; 20 seconds by default. */
  readonly gracePeriod?: number
}

const Checked = Schema.Struct({
  port: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
  host: Schema.optionalKey(Schema.NonEmptyString),
  gracePeriod: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))
})

const check = Schema.decodeUnknownSync(Checked)

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * Why a server cannot listen.
 *
 * - `PortInUse`: another program has the port.
 * - `NotPermitted`: the port is not for this user; those below 1024 rarely are.
 * - `AddressNotAvailable`: the host is no address of this machine.
 * - `Other`: something else; `detail` is the system's own word for it.
 */
export const ListenErrorReason = Schema.TaggedUnion({
  PortInUse: {},
  NotPermitted: {},
  AddressNotAvailable: { host: Schema.String },
  Other: { detail: Schema.String }
})

/** One of the reasons of {@link ListenErrorReason}. */
export type ListenErrorReason = typeof ListenErrorReason.Type

/**
 * The port could not be opened. `message` says what to do.
 *
 * ```ts
 * import { AppDefinition, Database, Listener } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde" })
 * const server = Layer.provide(Listener.layer({ app, host: "192.0.2.1" }), Database.layerMemory)
 *
 * const error = await Effect.runPromise(Effect.flip(Effect.provide(Effect.void, server)))
 * error instanceof Listener.ListenError && error.reason._tag // => "AddressNotAvailable"
 * ```
 */
export class ListenError extends Schema.TaggedError<ListenError>("@effect-realm/server/ListenError")("ListenError", {
  port: Schema.Int,
  reason: ListenErrorReason
}) {
  override get message(): string {
    const { port, reason } = this
    switch (reason._tag) {
      case "PortInUse":
        return `Port ${port} is in use. Stop the program that has it, or choose another port.`
      case "NotPermitted":
        return `Port ${port} may not be opened by this user. Choose a port above 1023.`
      case "AddressNotAvailable":
        return `${reason.host} is no address of this machine. Choose another host, or leave it out.`
      case "Other":
        return `Port ${port} cannot be opened: ${reason.detail}. Choose another port or host.`
    }
  }
}

const listenError = (port: number, host: string, error: HttpServerError.ServeError): ListenError => {
  const code = Predicate.hasProperty(error.cause, "code") ? error.cause.code : undefined
  switch (code) {
    case "EADDRINUSE":
      return new ListenError({ port, reason: { _tag: "PortInUse" } })
    case "EACCES":
      return new ListenError({ port, reason: { _tag: "NotPermitted" } })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new ListenError({ port, reason: { _tag: "AddressNotAvailable", host } })
    default:
      return new ListenError({
        port,
        reason: { _tag: "Other", detail: typeof code === "string" ? code : "unknown reason" }
      })
  }
}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

// A connection that is kept alive keeps a stopping server waiting long after its last answer.
const endIdleConnections = (server: Server): Server =>
  server.on("request", (_, response) => {
    response.once("close", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
  })

// Browsers and `fetch` connect ahead of what they will ask, and Node.js takes such a connection for one in use.
const trackSilentConnections = (server: Server): () => void => {
  const open = new Set<Socket>()
  server.on("connection", (socket) => {
    open.add(socket)
    socket.once("close", () => open.delete(socket))
  })
  return () => {
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy()
  }
}

const refusals: { readonly [code: string]: RealmError.RealmError | undefined } = {
  HPE_HEADER_OVERFLOW: new RealmError.UnknownServiceError({ detail: "request headers are too large", status: 431 }),
  ERR_HTTP_REQUEST_TIMEOUT: new RealmError.UnknownServiceError({ detail: "the request took too long", status: 408 })
}
const noHttp = RealmError.make("BadRequest", "the request is not HTTP/1.1")

// What is no request of HTTP never gets to the routes: Node.js would answer it without a body.
const answerBrokenRequests = (server: Server): Server =>
  server.on("clientError", (error: Error & { readonly code?: string }, socket) => {
    if (error.code === "ECONNRESET" || !socket.writable) return socket.destroy()
    const refusal = refusals[error.code ?? ""] ?? noHttp
    const status = RealmError.status(refusal)
    const body = JSON.stringify(RealmError.toWire(refusal))
    return socket.end(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}`
    )
  })

/**
 * Serves an app on a port until the scope closes. Then it accepts no more connections, breaks off what streams,
 * finishes the other answers in flight, and frees the port. `HttpServer` tells the address, see {@link origin}.
 *
 * Throws a `SchemaError` that names the option when one is of the wrong type. Fails with `ListenError` when the port
 * cannot be opened.
 *
 * ```ts
 * import { AppDefinition, Database, Listener } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde" })
 * const server = Listener.layer({ app, port: 0 }).pipe(Layer.provide(Database.layerMemory))
 *
 * const program = Effect.gen(function*() {
 *   const origin = yield* Listener.origin
 *   const response = yield* Effect.promise(() => fetch(`${origin}/api/client/v2.0/app/shop-abcde/location`))
 *   return response.status
 * })
 * await Effect.runPromise(Effect.provide(program, server)) // => 200
 * ```
 */
export const layer = <E = never, R = never>(
  options: Options<E, R>
): Layer.Layer<
  RealmServer.Services | HttpServer.HttpServer,
  ListenError | DatabaseError | E,
  Database | Exclude<R, RealmServer.GroupServices>
> => {
  check(options)
  // Without E and R, which `HttpRouter.serve` loses in its own types; the type of the result has them.
  const routes = RealmServer.layer(options as Options)
  return Layer.unwrap(Effect.sync(() => listen(routes, options)))
}

// An access token carries the custom data of its user, for which the usual 16 KiB of headers may be too little.
const maxHeaderSize = 64 * 1024

// A span shows the URL of its request, and in that of a streaming call there may be a token.
const hiddenParameters = Layer.effect(
  UrlParams.CurrentRedactedNames,
  Effect.map(UrlParams.CurrentRedactedNames, (names) => [...names, ...Endpoint.hiddenParameters])
)

// How many connections may wait to be accepted. Of a thousand clients that come at once to a server that is busy, the 511 of
// Node.js leave some with a reset connection, seconds later; the system takes as many of these as it allows.
const backlog = 4096

const listen = (
  routes: ReturnType<typeof RealmServer.layer<never, never>>,
  { gracePeriod = 20_000, host = "127.0.0.1", port = 0 }: Pick<Options, "gracePeriod" | "host" | "port">
) => {
  const server = answerBrokenRequests(
    createServer({ keepAliveTimeout: 65_000, maxHeaderSize, requireHostHeader: false })
  )
  const listening = NodeHttpServer.layerServer(() => endIdleConnections(server), {
    port,
    host,
    backlog,
    gracefulShutdownTimeout: gracePeriod
  }).pipe(
    Layer.catch((error) => Layer.effect(HttpServer.HttpServer, Effect.fail(listenError(port, host, error))))
  )
  // What is still open after the grace period would keep the port for as long as it likes.
  const bounded = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))).pipe(
    Layer.provideMerge(listening)
  )
  // Streams have no end to wait for, so they are ended before the waiting begins.
  const stopping = Deferred.makeUnsafe<void>()
  const endSilentConnections = trackSilentConnections(server)
  const stop = Effect.andThen(Effect.sync(endSilentConnections), Deferred.succeed(stopping, undefined))
  return Layer.effectDiscard(Effect.addFinalizer(() => stop)).pipe(
    Layer.provideMerge(HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })),
    Layer.provide([hiddenParameters, Layer.succeed(Streams.Stopping, Deferred.await(stopping))]),
    Layer.provideMerge(bounded)
  )
}

/** Where a server listens, as a URL that this machine can reach it at. */
export const origin: Effect.Effect<string, never, HttpServer.HttpServer> = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => {
    const { hostname, port } = new URL(HttpServer.formatAddress(address))
    // All addresses of the machine are one to listen on, not one to call.
    const any = hostname === "0.0.0.0" || hostname === "[::]"
    return `http://${any ? "localhost" : hostname}:${port}`
  }
)
