import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Entry, split } from "../src/internal/userImport/listText.ts"

const entries = (...pieces: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<Entry>> =>
  Stream.runCollect(split(Stream.fromIterable(pieces)))

const ann = { name: "Ann {\"}[],\\", of: [{ a: [1, {}] }] }
const bob = { name: "Böb 🎉" }

/** Lists of both, as they are written. */
const lists = {
  "an array": JSON.stringify([ann, bob]),
  "an array over many lines": JSON.stringify([ann, bob], null, 2),
  "an array of pages": JSON.stringify([[ann], [bob]]),
  "one a line": `${JSON.stringify(ann)}\n${JSON.stringify(bob)}\n`,
  "one a line, as Windows ends them": `${JSON.stringify(ann)}\r\n\r\n${JSON.stringify(bob)}`,
  "objects over many lines": `${JSON.stringify(ann, null, 2)}\n${JSON.stringify(bob, null, 2)}`,
  "pages behind each other": `${JSON.stringify([ann])}${JSON.stringify([bob])}\n`,
  "objects behind each other": `${JSON.stringify(ann)}${JSON.stringify(bob)}`
}

/** What is no list throughout. */
const damaged = "[1,\n{\"a\":[\n{\"b\":1}}\n{\"c\":\"x\n{\"d\":1} ]\nno\n {\"e\""

describe("a list", () => {
  it.effect.each(Object.entries(lists))("%s has its entries, whole", ([, list]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* entries(list)).map(({ text }) => JSON.parse(text)), [ann, bob])
    }))

  it.effect.prop(
    "has the same entries wherever it is cut",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })))],
    ([lengths]) =>
      Effect.gen(function*() {
        for (const list of [...Object.values(lists), damaged]) {
          const pieces: Array<string> = []
          let at = 0
          for (const length of lengths) pieces.push(list.slice(at, at += length))
          assert.deepStrictEqual(yield* entries(...pieces, list.slice(at)), yield* entries(list))
        }
      }),
    { arbitrary: { runs: 50 } }
  )

  it.effect("says in which line each begins", () =>
    Effect.gen(function*() {
      const lines = (list: string) => Effect.map(entries(list), (all) => all.map(({ line }) => line))
      assert.deepStrictEqual(yield* lines(lists["an array over many lines"]), [2, 13])
      assert.deepStrictEqual(yield* lines(lists["one a line"]), [1, 2])
      assert.deepStrictEqual(yield* lines(lists["one a line, as Windows ends them"]), [1, 3])
    }))

  it.effect("that is damaged keeps what is whole, each apart from the others", () =>
    Effect.gen(function*() {
      const found = yield* entries(damaged)
      assert.deepStrictEqual(found.map(({ line, text }) => [line, text]), [
        [1, "1,"],
        [2, "{\"a\":[\n"],
        [3, "{\"b\":1}}"],
        [4, "{\"c\":\"x"],
        [5, "{\"d\":1} "],
        [6, "no"],
        [7, "{\"e\""]
      ])
    }))

  it.effect("without its end says so", () =>
    Effect.gen(function*() {
      const [first, last] = yield* entries("\n[{},\n")
      assert.deepStrictEqual(first, { line: 2, text: "{}" })
      assert.strictEqual(last?.line, 2)
      assert.match(last?.problem ?? "", /has no end/)
    }))

  it.effect("holds no entry that is longer than any user", () =>
    Effect.gen(function*() {
      const part = "x".repeat(100_000)
      const long = ["{\"a\":\"", ...Array.from({ length: 11 }, () => part), "\"}"]
      const [first, second] = yield* entries("[", ...long, ",{}]")
      assert.strictEqual(first?.text, "")
      assert.match(first?.problem ?? "", /longer than 1048576 characters/)
      assert.deepStrictEqual(second, { line: 1, text: "{}" })
    }))
})
