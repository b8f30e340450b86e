import { assert, it } from "@effect/vitest"
import * as ApiReference from "./ApiReference.ts"

const source = `/**
 * Counts things. Nothing else.
 */
import * as Effect from "effect/Effect"

/** A number of things. */
export interface Count { readonly value: number }

/**
 * No things.
 *
 * \`\`\`ts
 * zero // => { value: 0 }
 * next(zero)
 * \`\`\`
 */
export const zero: Count = { value: 0 }

/** One more than {@link zero}. */
export const next = (count: Count): Count => ({ value: count.value + 1 })

export class Counter extends Base<Counter>()("Counter") {
  #secret = 1
  /** Counts. */
  count(): Effect.Effect<number> { return Effect.succeed(this.#secret) }
}

const hidden = 1
`

const module = ApiReference.read("packages/client/src/Count.ts", source)

it("shows declarations as they are written, without their bodies and secrets", () => {
  assert.deepStrictEqual(module.exports.map((one) => one.signature), [
    "interface Count { readonly value: number }",
    "const zero: Count",
    "const next = (count: Count): Count => …",
    "class Counter extends Base<Counter>()(\"Counter\") {\n  /** Counts. */\n  count(): Effect.Effect<number>\n}"
  ])
})

it("finds exports without a doc comment, and functions and classes that no example uses", () => {
  assert.deepStrictEqual(ApiReference.gaps(module, () => source), [
    "packages/client/src/Count.ts:22: Counter has no doc comment"
  ])
  assert.deepStrictEqual(ApiReference.gaps(module, () => source.replace(" * next(zero)\n", "")), [
    "packages/client/src/Count.ts:20: next is used in no example of its module",
    "packages/client/src/Count.ts:22: Counter has no doc comment"
  ])
})

it("makes a page per module and lists them with their first sentence", () => {
  const pages = ApiReference.pages([module])
  assert.deepStrictEqual([...pages.keys()], ["README.md", "client/Count.md"])
  assert.include(pages.get("README.md"), "- [Count](client/Count.md): Counts things.\n")
  assert.include(pages.get("client/Count.md"), "One more than `zero`.")
})
