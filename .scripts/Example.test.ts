import { assert, it } from "@effect/vitest"
import * as Example from "./Example.ts"

const source = [
  "/**",
  " * Adds.",
  " *",
  " * ```ts",
  " * const three = add(1, 2) // => 3",
  " *",
  " * if (three) {",
  " *   add(three, 1) // => 4",
  " * }",
  " * ```",
  " *",
  " * ```js",
  " * not this one",
  " * ```",
  " */",
  "const add = \"```ts\"",
  "",
  "interface Options {",
  "  /**",
  "   * ```ts no-run",
  "   * await fetch(url)",
  "   * ```",
  "   */",
  "}"
].join("\n")

it("finds the fenced ts blocks of doc comments, and no others", () => {
  assert.deepStrictEqual(Example.extract("a.ts", source), [
    {
      file: "a.ts",
      line: 4,
      indent: 3,
      run: true,
      code: "const three = add(1, 2) // => 3\n\nif (three) {\n  add(three, 1) // => 4\n}"
    },
    { file: "a.ts", line: 20, indent: 5, run: false, code: "await fetch(url)" }
  ])
})

it("finds the blocks of a Markdown page, inside of lists too", () => {
  assert.deepStrictEqual(Example.extract("a.md", "- like this\n\n  ```ts\n  f(\n    1\n  )\n  ```\n"), [
    { file: "a.md", line: 3, indent: 2, run: true, code: "f(\n  1\n)" }
  ])
})

it("refuses a block without an end and a kind of block it does not know", () => {
  assert.throws(() => Example.extract("a.md", "```ts\nf()\n"), /^a\.md:1: this block has no closing fence$/)
  assert.throws(() => Example.extract("a.md", "```ts norun\n```\n"), /^a\.md:1: unknown kind of example "norun"/)
})

const checked = (code: string) => Example.toModule({ file: "a.md", line: 1, indent: 0, run: true, code }, "run")

it("turns a value comment into an assertion on its own line", () => {
  assert.strictEqual(
    checked("const a: number = 1 // => 1\nawait f(\n  a\n); // => [\"x\"]\nf(a) // prose"),
    [
      `import { deepStrictEqual as $check } from "node:assert/strict";`,
      "const a: number = 1; $check(a, (1))",
      "$check(await f(",
      "  a",
      "), ([\"x\"]))",
      "f(a) // prose",
      ""
    ].join("\n")
  )
})

it("refuses a value comment that checks nothing", () => {
  assert.throws(() => checked("f()\n// => 1"), /^a\.md:3: "\/\/ =>" must follow/)
  assert.throws(() => checked("const { a } = f() // => 1"), /^a\.md:2: "\/\/ =>" must follow/)
})
