/**
 * What a function call costs over the `HttpClient` beneath it, in memory: sessions, Extended JSON, checked answers; and what
 * a contract costs on top.
 */
import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import { RealmFunction } from "@effect-realm/protocol"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as MemoryTransport from "./MemoryTransport.ts"
import * as PlainServer from "./PlainServer.ts"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const layer = Layer.merge(MemoryTransport.layer, TokenStore.layerMemory)

const origin = "http://localhost"

const sum = RealmFunction.make("sum", { args: [Schema.Int, Schema.Int], success: Schema.Int })

export const rows = (sizes: Sizes): Effect.Effect<ReadonlyArray<Row.Row>> =>
  Effect.gen(function*() {
    const user = yield* App.logIn(App.make({ id: PlainServer.appId, baseUrl: origin }), Credentials.anonymous())
    const token = yield* User.accessToken(user)

    const ours = Effect.suspend(() => User.callFunction(user, "sum", [1, 2]))
    const byContract = Effect.suspend(() => User.callFunction(user, sum, [1, 2]))
    const raw = Effect.suspend(() =>
      HttpClientRequest.post(origin + PlainServer.callPath, { acceptJson: true }).pipe(
        HttpClientRequest.bearerToken(token),
        HttpClientRequest.bodyText(PlainServer.callBody, "application/json"),
        HttpClient.execute,
        Effect.flatMap((response) => response.json)
      )
    )

    const times = sizes.repetitions * 10
    const over: Array<number> = []
    const beneath: Array<number> = []
    const plain: Array<number> = []
    const onTop: Array<number> = []
    const round = Effect.all([Row.cost(raw, times), Row.cost(ours, times), Row.cost(byContract, times)])
    yield* round
    for (let count = 0; count < sizes.rounds; count++) {
      const [below, above, contract] = yield* round
      beneath.push(below)
      over.push(above - below)
      plain.push(above)
      onTop.push(contract - above)
    }
    return [{
      measured: "cost of a call over the raw `HttpClient`, in memory",
      unit: "µs",
      ours: { name: "ours, less the raw call", samples: over, aim: { _tag: "AtMost", bound: 30 } as const },
      peers: [{ name: "raw `HttpClient`, same request", samples: beneath }]
    }, {
      measured: "cost of a contract over the plain call, in memory",
      unit: "µs",
      ours: { name: "by contract, less the plain call", samples: onTop, aim: { _tag: "AtMost", bound: 15 } as const },
      peers: [{ name: "plain call", samples: plain }]
    }]
  }).pipe(
    // Ours sends no trace headers, so the raw request has none either.
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.provide(layer),
    Effect.orDie
  )
