/**
 * The streaming calls of data sources: `watch`, whose events travel as server-sent events (protocol section 9.4).
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { AppDefinition } from "../../AppDefinition.ts"
import type { Document } from "../../Database.ts"
import { Documents, type Watched } from "../../Documents.ts"
import { Functions } from "../../Functions.ts"
import * as Streams from "../http/streams.ts"
import { memoized } from "../memoized.ts"

// Written once for all who are told the same.
const toValue = memoized((event: Document) => StreamEvent.value(Ejson.encodeUnsafe(event)))

const toEvent = (watched: Watched): StreamEvent.StreamEvent =>
  watched._tag === "Changed"
    ? toValue(watched.event)
    : {
      type: MongoDBService.position,
      data: JSON.stringify(Ejson.encodeUnsafe({ resumeToken: watched.resumeToken }))
    }

/** Answers the streaming calls of an app's data sources, and leaves those of other services to what is there. */
export const layer = ({ dataSources }: AppDefinition): Layer.Layer<never, never, Documents | Functions> =>
  Layer.effect(
    Streams.ServiceStreams,
    Effect.gen(function*() {
      const documents = yield* Documents
      const functions = yield* Functions
      const others = yield* Streams.ServiceStreams
      const names = new Set(dataSources.map(({ name }) => name))

      return (call) => {
        const { name, service } = call
        if (!names.has(service)) return others(call)
        if (name !== "watch") {
          return Effect.fail(
            RealmError.make("ServiceCommandNotFound", `the service has no streaming command '${name}'`)
          )
        }
        return documents.watch(call).pipe(
          Effect.map((watched) => Stream.provideService(Stream.map(watched, toEvent), Functions, functions)),
          Effect.provideService(Functions, functions)
        )
      }
    })
  )
