/**
 * Contracts that the shop's server and its clients share. In a program of your own they are a package that both import.
 */
import { RealmFunction } from "@effect-realm/protocol"
import { Schema } from "effect"

/** The shop has not as many seats as somebody asked for. */
export class FullyBooked extends Schema.TaggedError<FullyBooked>()("FullyBooked", { seats: Schema.Int }) {
  override get message(): string {
    return `the shop has ${this.seats} seats`
  }
}

const Reservation = Schema.Struct({ guest: Schema.String, seats: Schema.Natural, at: Schema.Date })

/** What the shop's tables can do, each a function of the app. */
export const Tables = {
  reserve: RealmFunction.make("tables/reserve", {
    args: [Schema.Natural, Schema.Date],
    success: Reservation,
    error: FullyBooked
  }),
  seats: RealmFunction.make("tables/seats", { success: Schema.Int }),
  /** The seats that are free, told anew as often as there is news. */
  free: RealmFunction.makeStream("tables/free", { success: Schema.Int })
}
