import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Layer from "effect/Layer"
import * as RedisCluster from "../../src/RedisCluster.ts"
import * as RedisSessionStorage from "../../src/RedisSessionStorage.ts"

export const layer = ({ path }: { readonly path: string }) =>
  Layer.provide(RedisSessionStorage.layer, NodeRedis.layer({ socket: { path, tls: false } }))

export const layerCluster = ({ ports }: { readonly ports: ReadonlyArray<number> }) =>
  Layer.provide(
    RedisSessionStorage.layer,
    RedisCluster.layer({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })) })
  )
