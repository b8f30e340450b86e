/**
 * The program behind `Sharer.ts`: a process that shares sessions with others. It says which changes it is told of, and
 * calls a function as often as it is asked to.
 */
import { App, User } from "@effect-realm/client"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as Place from "../Place.ts"
import * as PlainServer from "../PlainServer.ts"
import type { Question, Told } from "../Sharer.ts"

const [place, origin] = process.argv.slice(2)
// What the parent has written.
const runtime = ManagedRuntime.make(
  Layer.merge(Place.store(JSON.parse(place ?? "") as Place.Place), NodeHttpClient.layerUndici)
)
const app = App.make({ id: PlainServer.appId, baseUrl: origin ?? "" })

const tell = (told: Told) => process.send?.(told)

process.on("message", (question: Question) => {
  if (question._tag === "Ping") return tell({ _tag: "Pong" })
  const user = User.make({ appId: app.id, baseUrl: app.baseUrl, id: question.userId })
  const call = Effect.suspend(() => User.callFunction(user, "sum", [1, 2]))
  const calls = Effect.all(Array.from({ length: question.calls }, () => call), {
    concurrency: "unbounded",
    discard: true
  })
  void runtime.runPromise(calls).then(() => tell({ _tag: "Called" }))
})

// The parent has gone: nobody else would end this process.
process.on("disconnect", () => process.exit())

await runtime.runPromise(
  Stream.runForEach(
    App.events(app),
    (event) =>
      Effect.sync(() =>
        tell(event._tag === "Snapshot" ? { _tag: "Ready" } : { _tag: "Seen", number: event.generation })
      )
  )
)
