/**
 * The keys of an app's own programs, for whoever looks after the server on its machine: in the database itself, or, while a
 * server has the database, by way of that server. It listens on a socket beside the database file, which the owner of the
 * file alone can open; what is done there is done by the services that answer clients, so that it holds at once.
 */
import type * as RealmError from "@effect-realm/protocol/RealmError"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as ApiKeys from "../ApiKeys.ts"
import type { DatabaseError } from "../DatabaseError.ts"

/** Why nothing was done, for the person at the keyboard. */
export class ServerKeysError extends Schema.TaggedError<ServerKeysError>()("ServerKeysError", {
  message: Schema.String
}) {}

const Key = Schema.Struct({ id: Schema.String, name: Schema.String, disabled: Schema.Boolean })

const Change = Schema.Literals(["enable", "disable", "delete"])

/** What is done to a key. */
export type Change = typeof Change.Type

/** What can be done with the keys of an app's own programs. */
export interface ServerKeys {
  readonly create: (name: string) => Effect.Effect<
    { readonly id: string; readonly key: Redacted.Redacted },
    ServerKeysError
  >
  readonly list: Effect.Effect<ReadonlyArray<ApiKeys.ApiKey>, ServerKeysError>
  /** Does something to the key of this name or id, and answers its name. */
  readonly change: (change: Change, nameOrId: string) => Effect.Effect<string, ServerKeysError>
}

const inWords = <A>(
  effect: Effect.Effect<A, RealmError.ApiKeyError | RealmError.RequestError | DatabaseError>
): Effect.Effect<A, ServerKeysError> =>
  Effect.mapError(
    effect,
    (error) =>
      new ServerKeysError({ message: error._tag === "DatabaseError" ? error.message : `${error.reason.message}.` })
  )

/** The keys where they are kept. */
export const ofDatabase: Effect.Effect<ServerKeys, never, ApiKeys.ApiKeys> = Effect.map(
  ApiKeys.ApiKeys,
  (keys): ServerKeys => ({
    create: (name) => inWords(keys.create("server", name)),
    list: inWords(keys.list("server")),
    change: Effect.fnUntraced(function*(change, wanted) {
      const found = (yield* inWords(keys.list("server"))).find(({ id, name }) => name === wanted || id === wanted)
      if (found === undefined) {
        return yield* new ServerKeysError({
          message: `There is no server key "${wanted}". "keys list" shows those there are.`
        })
      }
      yield* inWords(
        change === "delete"
          ? keys.remove("server", found.id)
          : keys.setDisabled("server", found.id, change === "disable")
      )
      return found.name
    })
  })
)

// -----------------------------------------------------------------------------
// By way of a server
// -----------------------------------------------------------------------------

// Of another app, perhaps, which has the same database.
const App = { appId: Schema.String }

const Commands = RpcGroup.make(
  Rpc.make("create", {
    payload: { ...App, name: Schema.String },
    success: Schema.Struct({ id: Schema.String, key: Schema.RedactedFromValue(Schema.String) }),
    error: ServerKeysError
  }),
  Rpc.make("list", { payload: App, success: Schema.Array(Key), error: ServerKeysError }),
  Rpc.make("change", {
    payload: { ...App, change: Change, key: Schema.String },
    success: Schema.String,
    error: ServerKeysError
  })
)

/** The socket beside a database file. */
const socketOf = (filename: string): string => `${filename}-control`

// What the name of a socket may have on all systems, with its end.
const maxName = 103

const handlers = (appId: string) =>
  Commands.toLayer(Effect.map(ofDatabase, (keys) => {
    const ofApp = <A>(asked: string, effect: Effect.Effect<A, ServerKeysError>) =>
      asked === appId
        ? effect
        : Effect.fail(new ServerKeysError({ message: `The server that has the database serves the app ${appId}.` }))
    return Commands.of({
      create: ({ appId, name }) => ofApp(appId, keys.create(name)),
      list: ({ appId }) => ofApp(appId, keys.list),
      change: ({ appId, change, key }) => ofApp(appId, keys.change(change, key))
    })
  }))

/** The name of a socket is there for nobody but its owner from its first moment on. */
const forOwnerAlone = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => process.umask(0o177)),
    () => effect,
    (mask) => Effect.sync(() => process.umask(mask))
  )

/**
 * Lets the keys be looked after while the server runs. The server must have the database file already: then a socket that is
 * there was left behind by one that did not end as it should.
 */
export const layer = (options: {
  readonly appId: string
  /** The database file. */
  readonly filename: string
}): Layer.Layer<never, never, ApiKeys.ApiKeys> => {
  const socket = socketOf(options.filename)
  const warn = (why: string, ...cause: ReadonlyArray<unknown>) =>
    Layer.effectDiscard(Effect.logWarning(`keys cannot be looked after while the server runs: ${why}`, ...cause))
  if (process.platform === "win32") return Layer.empty
  if (Buffer.byteLength(socket) > maxName) return warn(`${socket} is too long for the name of a socket`)
  const listening = Layer.unwrap(Effect.sync(() => {
    fs.rmSync(socket, { force: true })
    return NodeSocketServer.layer({ path: socket })
  }))
  return RpcServer.layer(Commands, { disableTracing: true, disableFatalDefects: true }).pipe(
    Layer.provide(handlers(options.appId)),
    Layer.provide(RpcServer.layerProtocolSocketServer),
    Layer.provide(RpcSerialization.layerNdjson),
    Layer.provide(Layer.effectContext(forOwnerAlone(Layer.build(listening)))),
    // Clients are served all the same.
    Layer.catchCause((cause) => warn(`there can be no socket ${socket}`, cause))
  )
}

/**
 * Uses the keys by way of the server that has the database file.
 *
 * @param options.otherwise what to say when there is no server that answers
 */
export const withServer = <A>(
  options: { readonly appId: string; readonly filename: string; readonly otherwise: string },
  use: (keys: ServerKeys) => Effect.Effect<A, ServerKeysError>
): Effect.Effect<A, ServerKeysError> => {
  const { appId, filename, otherwise } = options
  const noServer = new ServerKeysError({ message: otherwise })
  const protocol = RpcClient.layerProtocolSocket().pipe(
    Layer.provide([RpcSerialization.layerNdjson, NodeSocket.layerNet({ path: socketOf(filename) })])
  )
  return Effect.scoped(Effect.gen(function*() {
    const client = yield* RpcClient.make(Commands, { disableTracing: true })
    const asked = <B>(effect: Effect.Effect<B, ServerKeysError | RpcClientError>) =>
      effect.pipe(
        Effect.catchTag("RpcClientError", () => Effect.fail(noServer)),
        Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.fail(noServer) })
      )
    return yield* use({
      create: (name) => asked(client.create({ appId, name })),
      list: asked(client.list({ appId })),
      change: (change, key) => asked(client.change({ appId, change, key }))
    })
  })).pipe(
    Effect.provide(protocol),
    Effect.catchTag("SocketError", () => Effect.fail(noServer))
  )
}
