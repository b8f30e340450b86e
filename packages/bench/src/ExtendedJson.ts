/**
 * What it costs to write and to read Extended JSON, beside bson's own `EJSON`: an order as an app keeps it, in canonical
 * form, from values to text and back.
 */
import { Ejson } from "@effect-realm/protocol"
import { Binary, Double, EJSON, Int32, Long, ObjectId } from "bson"
import * as Effect from "effect/Effect"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const order = {
  _id: new ObjectId("5f87976b7b800b285345a8b4"),
  customer: { name: "Zoë", email: "zoe@example.com", since: new Date(1_652_297_239_913) },
  number: Long.fromString("9007199254740993"),
  paid: true,
  total: new Double(17.5),
  note: null,
  receipt: new Binary(new Uint8Array(64)),
  lines: Array.from({ length: 20 }, (_, index) => ({
    article: `article ${index}`,
    pieces: new Int32(index),
    price: new Double(index + 0.25),
    tags: ["fresh", "from here", "no sugar"]
  }))
}

const text = EJSON.stringify(order, { relaxed: false })

const measurement = (name: string, run: () => unknown, { repetitions }: Sizes) => ({
  name,
  sample: Row.cost(Effect.sync(run), repetitions)
})

/** Ours takes a fifth of the time. */
const aim: Row.Aim = { _tag: "AtMost", bound: 0.2 }

export const rows = (sizes: Sizes): Effect.Effect<ReadonlyArray<Row.Row>> =>
  Effect.all([
    Row.measure(sizes.rounds, {
      measured: "Extended JSON: writing an order of 20 lines",
      unit: "µs",
      ours: measurement("ours", () => JSON.stringify(Ejson.encodeUnsafe(order)), sizes),
      peers: [{ ...measurement("bson's EJSON", () => EJSON.stringify(order, { relaxed: false }), sizes), aim }]
    }),
    Row.measure(sizes.rounds, {
      measured: "Extended JSON: reading an order of 20 lines",
      unit: "µs",
      ours: measurement("ours", () => Ejson.decodeUnsafe(JSON.parse(text), { numbers: "exact" }), sizes),
      peers: [{ ...measurement("bson's EJSON", () => EJSON.parse(text, { relaxed: false }), sizes), aim }]
    })
  ])
