import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Layer from "effect/Layer"
import * as RedisSessionStorage from "../../src/RedisSessionStorage.ts"

export const layer = ({ path }: { readonly path: string }) =>
  Layer.provide(RedisSessionStorage.layer, NodeRedis.layer({ socket: { path, tls: false } }))
