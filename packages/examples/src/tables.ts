/**
 * The shop's tables on the server: contracts implemented as Effects, which run beside the exported JavaScript.
 */
import { FunctionGroup } from "@effect-realm/server"
import { Effect, type Layer, Option, Stream } from "effect"
import { FullyBooked, Tables } from "./contracts.ts"

const seats = 12

export const layer: Layer.Layer<FunctionGroup.FunctionGroup> = FunctionGroup.layer(Tables, {
  reserve: (wanted, at) =>
    Effect.gen(function*() {
      const { user } = yield* FunctionGroup.Caller
      if (wanted > seats) return yield* new FullyBooked({ seats })
      return { guest: Option.match(user, { onNone: () => "the house", onSome: ({ id }) => id }), seats: wanted, at }
    }),
  seats: () => Effect.succeed(seats),
  // A shop that fills up, for as long as somebody watches.
  free: () => Stream.map(Stream.range(0, seats), (taken) => seats - taken)
})
