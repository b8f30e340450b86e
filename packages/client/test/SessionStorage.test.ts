import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SessionStorage from "../src/SessionStorage.ts"
import { contract } from "./SessionStorage.contract.ts"

const place = await Effect.runPromise(
  Effect.provide(SessionStorage.SessionStorage.use(Effect.succeed), SessionStorage.layerMemory)
)

contract("memory", Layer.succeed(SessionStorage.SessionStorage, place))
