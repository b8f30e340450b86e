import { afterAll, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Instance from "./postgres.ts"
import { suite } from "./processes/suite.ts"

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

describe.skipIf(!Instance.isInstalled)("PgSessionStorage", () => {
  suite("a PostgreSQL", async () => {
    const instance = await Effect.runPromise(Scope.provide(Instance.make, scope))
    return { _tag: "Postgres", host: String(instance.config.host), password: Redacted.value(Instance.password) }
  })
})
