/**
 * What the store over each place costs, beside the bare client that sends the same commands.
 */
import * as Effect from "effect/Effect"
import * as BareClient from "./BareClient.ts"
import * as Place from "./Place.ts"
import type * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"
import * as StoreRows from "./StoreRows.ts"

// Of what waits for another process; elsewhere a `Map` is no measure of anything.
const isRemote = (place: Place.Place): boolean => place._tag === "Postgres" || place._tag === "Redis"

export const rows = (sizes: Sizes): Effect.Effect<ReadonlyArray<Row.Row>> =>
  Place.each((place) =>
    Effect.gen(function*() {
      const store = yield* StoreRows.open(Place.store(place))
      const bare = yield* BareClient.make(place, store)
      const peer = isRemote(place) ? { ...bare, bound: 1.2 } : bare
      return yield* StoreRows.rows(store, Place.name(place._tag), [peer], sizes)
    })
  )
