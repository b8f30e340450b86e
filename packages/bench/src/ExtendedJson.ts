/**
 * What it costs to encode and to decode Extended JSON, beside bson's own `EJSON`: an order as an app keeps it, in canonical
 * form.
 *
 * Between BSON values and what `JSON.stringify` writes and `JSON.parse` reads, which is the codec's own work, ours takes a
 * fifth of the time and less. Between BSON values and text the engine's own JSON is most of the work: to write text out of
 * JSON that is encoded already takes a quarter to a third of the time of bson's `stringify`, to read it into such JSON a
 * seventh to a fifth of that of its `parse`, which leaves next to nothing for the values. Hence the bare JSON beside
 * those rows, and no aim. Text written piece by piece without it, every check left out, took as long as encoding and
 * `JSON.stringify` do together.
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

/** Extended JSON as `JSON.parse` reads it. */
const json: unknown = JSON.parse(text)

/** Ours takes a fifth of the time. */
const aim: Row.Aim = { _tag: "AtMost", bound: 0.2 }

export const rows = (sizes: Sizes): Effect.Effect<ReadonlyArray<Row.Row>> => {
  const canonical = { relaxed: false }
  const exact = { numbers: "exact" } as const
  const of = (name: string, run: () => unknown) => ({ name, sample: Row.cost(Effect.sync(run), sizes.repetitions) })
  const row = (
    measured: string,
    ours: () => unknown,
    peers: ReadonlyArray<Row.Measurement<never, never>>
  ): Effect.Effect<Row.Row> =>
    Row.measure(sizes.rounds, {
      measured: `Extended JSON: ${measured} an order of 20 lines`,
      unit: "µs",
      ours: of("ours", ours),
      peers
    })

  return Effect.all([
    row("encoding", () => Ejson.encodeUnsafe(order), [
      { ...of("bson's `EJSON.serialize`", () => EJSON.serialize(order, canonical)), aim }
    ]),
    row("decoding", () => Ejson.decodeUnsafe(json, exact), [
      { ...of("bson's `EJSON.deserialize`", () => EJSON.deserialize(Object(json), canonical)), aim }
    ]),
    row("writing the text of", () => JSON.stringify(Ejson.encodeUnsafe(order)), [
      of("bson's `EJSON.stringify`", () => EJSON.stringify(order, canonical)),
      of("bare `JSON.stringify`", () => JSON.stringify(json))
    ]),
    row("reading the text of", () => Ejson.decodeUnsafe(JSON.parse(text), exact), [
      of("bson's `EJSON.parse`", () => EJSON.parse(text, canonical)),
      of("bare `JSON.parse`", () => JSON.parse(text))
    ])
  ])
}
