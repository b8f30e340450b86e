import { Ejson } from "@effect-realm/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Double, Long } from "bson"
import { Effect, Fiber } from "effect"
import { Slices } from "../src/internal/engine/slices.ts"
import * as AnswerText from "../src/internal/http/answerText.ts"

const whole = (value: unknown): string => JSON.stringify(Ejson.encodeUnsafe(value))

const written = (value: unknown, most = Infinity) =>
  Effect.map(
    new Slices(4).run(AnswerText.write(value, most)),
    (text) => text === undefined ? undefined : Buffer.from(text).toString()
  )

const values: ReadonlyArray<unknown> = [
  null,
  "größer 😀",
  { _id: 1, total: new Double(1), at: new Date(0) },
  [],
  [undefined],
  [{ _id: Long.MAX_VALUE }, null, undefined, "ü", [[]], { a: undefined }],
  Array.from({ length: 3000 }, (_, _id) => ({ _id, text: "😀ü".repeat(20) }))
]

describe("answerText", () => {
  it.effect("a list is written by parts as it is at once", () =>
    Effect.gen(function*() {
      for (const value of values) assert.strictEqual(yield* written(value), whole(value))
    }))

  it.effect("what has more characters than it may is not written, and not looked at any further", () =>
    Effect.gen(function*() {
      for (const value of values) {
        const { length } = whole(value)
        if (length === 2) continue
        assert.isUndefined(yield* written(value, length - 1))
        assert.strictEqual(yield* written(value, length), whole(value))
      }
      const unread = {
        get _id(): never {
          throw new Error("it was looked at")
        }
      }
      assert.isUndefined(yield* written(["too long", unread], 5))
      assert.isUndefined(yield* written(["too long for that", ...Array.from({ length: 50 }, () => 1), unread], 25))
    }))

  it.live("the event loop turns while a long list is written, and then it may be given up", () =>
    Effect.gen(function*() {
      const list = Array.from({ length: 100 }, () => "x".repeat(20_000))
      const fiber = yield* Effect.forkChild(new Slices(0).run(AnswerText.write(list, Infinity)), {
        startImmediately: true
      })
      for (let turn = 0; turn < 20; turn++) yield* Effect.promise(() => new Promise(setImmediate))
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
    }))
})
