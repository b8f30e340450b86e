import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Page, Row, Table } from "../src/index.ts"

const row: Row.Row = {
  measured: "calls",
  unit: "calls/s",
  ours: { name: "ours", samples: [100, 400, 300], aim: { _tag: "AtLeast", bound: 200 } },
  peers: [
    { name: "slow", samples: [50, 100, 100], aim: { _tag: "AtLeast", bound: 5 } },
    { name: "fast", samples: [1000, 1000, 1000] }
  ]
}

const at: Table.Circumstances = {
  date: "2025-12-31",
  processor: "Abacus",
  cores: 2,
  busy: 0.1,
  node: "24.0.0",
  effect: "4.1.0"
}

describe("the table", () => {
  it("shows each figure with its spread, and ours over each peer round by round", () => {
    assert.deepStrictEqual(Row.spread(row.ours.samples), { median: 300, min: 100, max: 400 })
    assert.deepStrictEqual(Row.ratios(row, row.peers[0]!), [2, 4, 3])
    const lines = Table.table([row]).split("\n").map((line) => line.split("|").map((cell) => cell.trim()))
    assert.deepStrictEqual(lines[2]!.slice(1, -1), ["calls, calls/s", "**ours**", "300 (100–400)", "", "≥ 200", "yes"])
    assert.deepStrictEqual(lines[3]!.slice(1, -1), [
      "",
      "slow",
      "100 (50–100)",
      "3 (2–4)",
      "≥ 5 ×",
      "**falls short**: 3"
    ])
    assert.deepStrictEqual(lines[4]!.slice(1, -1), ["", "fast", "1,000", "0.3 (0.1–0.4)", "", ""])
  })

  it("takes the middle of an even number of samples between the two in the middle", () => {
    assert.strictEqual(Row.spread([4, 1, 3, 2]).median, 2.5)
  })

  it("says plainly what falls short, and when it was measured", () => {
    const section = Table.section([row], at)
    assert.include(section, "2025-12-31")
    assert.include(section, "calls: 3 where ≥ 5 times slow was aimed at.")
    assert.include(Table.section([{ ...row, peers: [] }], at), "Every aim is reached.")
  })

  it("says whether the machine had other work", () => {
    assert.include(Table.section([row], at), "The machine did nothing else.")
    assert.include(Table.section([row], { ...at, busy: 3 }), "busy with other work (load 3)")
  })
})

describe("the page", () => {
  const parts = ["quick", "slow", "slower"]
  const written = (page: string, part: string, section: string) => Page.renewed(page, part, section, parts)

  it("has what was measured last of each part, in their order, whichever was measured when", () => {
    const first = written(written("", "slower", "three\n"), "quick", "one\n")
    const second = written(written(first, "slow", "| two |\n"), "quick", "one again\n")
    assert.deepStrictEqual(
      second.split("\n## ").slice(1),
      ["quick\n\none again\n", "slow\n\n| two |\n", "slower\n\nthree\n"]
    )
    assert.strictEqual(written(second, "slow", "| two |\n"), second)
  })

  it("keeps nothing of a part that is no more", () => {
    assert.notInclude(Page.renewed(written("", "slow", "two"), "quick", "one", ["quick"]), "two")
  })
})

describe("a row", () => {
  it.effect("measures its subjects in turn, after one round that is not counted", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const measurement = (name: string) => ({ name, sample: Effect.sync(() => order.push(name)) })
      const measured = yield* Row.measure(2, {
        measured: "turns",
        unit: "",
        ours: measurement("a"),
        peers: [measurement("b")]
      })
      assert.deepStrictEqual(order, ["a", "b", "a", "b", "a", "b"])
      assert.deepStrictEqual([measured.ours.samples, measured.peers[0]!.samples], [[3, 5], [4, 6]])
    }))
})
