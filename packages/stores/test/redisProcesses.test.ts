import { afterAll, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { suite } from "./processes/suite.ts"
import * as Instance from "./support/redis.ts"

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

describe.skipIf(!Instance.isInstalled)("RedisSessionStorage", () => {
  suite("a Redis", async () => {
    const instance = await Effect.runPromise(Scope.provide(Instance.make, scope))
    return { _tag: "Redis", path: instance.path }
  })
  suite("a Redis cluster", async () => {
    const nodes = await Effect.runPromise(Scope.provide(Instance.cluster, scope))
    return { _tag: "RedisCluster", ports: nodes.map(({ port }) => port) }
  })
})
