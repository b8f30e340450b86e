/**
 * What a function call costs over the `HttpClient` beneath it, in memory: sessions, Extended JSON, checked answers; and what
 * a contract costs on top.
 */
import { App, Credentials, Policy, TokenStore, User } from "@effect-realm/client"
import { RealmFunction } from "@effect-realm/protocol"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as MemoryTransport from "./MemoryTransport.ts"
import * as PlainServer from "./PlainServer.ts"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const layer = Layer.merge(MemoryTransport.layer, TokenStore.layerMemory)

const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })

// Nobody has to wait for it.
const limited = Policy.layerRateLimit({ limit: 1_000_000_000, window: "1 second" }).pipe(
  Layer.provide(RateLimiter.layer),
  Layer.provide(RateLimiter.layerStoreMemory)
)

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

    const traced = Effect.provideService(ours, Tracer.Tracer, tracer)
    const underPolicy = ours.pipe(Policy.idempotent, Effect.provideContext(yield* Layer.build(limited)))

    const times = sizes.repetitions * 10
    const round = Effect.all([
      Row.cost(raw, times),
      Row.cost(ours, times),
      Row.cost(byContract, times),
      Row.cost(traced, times),
      Row.cost(underPolicy, times)
    ])
    yield* round
    const rounds = yield* Effect.replicateEffect(round, sizes.rounds)
    type Subject = 0 | 1 | 2 | 3 | 4
    const samples = (subject: Subject): Array<number> => rounds.map((costs) => costs[subject])
    const less = (subject: Subject, other: Subject): Array<number> =>
      rounds.map((costs) => costs[subject] - costs[other])

    const plain = { name: "plain call", samples: samples(1) }
    return [{
      measured: "cost of a call over the raw `HttpClient`, in memory",
      unit: "µs",
      ours: { name: "ours, less the raw call", samples: less(1, 0), aim: { _tag: "AtMost", bound: 30 } as const },
      peers: [{ name: "raw `HttpClient`, same request", samples: samples(0) }]
    }, {
      measured: "cost of a contract over the plain call, in memory",
      unit: "µs",
      ours: {
        name: "by contract, less the plain call",
        samples: less(2, 1),
        aim: { _tag: "AtMost", bound: 15 } as const
      },
      peers: [plain]
    }, {
      measured: "cost of the spans of a call where a tracer keeps them, in memory",
      unit: "µs",
      ours: { name: "traced, less the plain call", samples: less(3, 1) },
      peers: [plain]
    }, {
      measured: "cost of a rate limit and of repetition per call, in memory",
      unit: "µs",
      ours: { name: "under a policy, less the plain call", samples: less(4, 1) },
      peers: [plain]
    }]
  }).pipe(
    // Ours sends no trace headers, so the raw request has none either.
    Effect.provideService(HttpClient.TracerPropagationEnabled, false),
    Effect.provide(layer),
    Effect.scoped,
    Effect.orDie
  )
