import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Endpoint from "../src/Endpoint.ts"
import * as RealmError from "../src/RealmError.ts"
import * as StreamEvent from "../src/StreamEvent.ts"

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** What a decoder finds in bytes that arrive in these pieces. */
const read = (
  pieces: Iterable<Uint8Array>,
  decoder = StreamEvent.makeDecoder()
): ReadonlyArray<StreamEvent.StreamEvent> => [...pieces].flatMap((piece) => Result.getOrThrow(decoder.feed(piece)))

const readText = (text: string): ReadonlyArray<StreamEvent.StreamEvent> => read([bytesOf(text)])

const message = (data: string): StreamEvent.StreamEvent => ({ type: "message", data })

// Everything that has a meaning of its own somewhere on the way, and characters of one to four bytes.
const Piece = Schema.Literals([
  "a",
  " ",
  ":",
  "%",
  "%0A",
  "%25",
  "%0",
  "\n",
  "\r",
  "\r\n",
  "é",
  "€",
  "🎉",
  "data: ",
  "\uFEFF"
])
const Text = Schema.Array(Piece).check(Schema.isMaxLength(12))
const Event = Schema.Struct({ type: Schema.Literals(["message", "error", "end", "position"]), data: Text })
const Part = Schema.Union([Event, Schema.Literals(["comment", "unknown field", "id", "retry", "nothing"])])
const Parts = Schema.Array(Part).check(Schema.isMaxLength(6))
/** How long the pieces are, one after the other, again and again. */
const Cuts = Schema.Array(Schema.Literals([1, 2, 3, 5, 17])).check(Schema.isMinLength(1), Schema.isMaxLength(5))

const noise = {
  comment: StreamEvent.comment,
  "unknown field": "colour: blue\n",
  id: "id: 7\n",
  retry: "retry: 5\n",
  nothing: "event: message\n\n"
} as const

const cut = function*(bytes: Uint8Array, cuts: ReadonlyArray<number>): Iterable<Uint8Array> {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const length = cuts[index % cuts.length]!
    yield bytes.subarray(at, at + length)
    at += length
  }
}

describe("Events", () => {
  it.prop(
    "are read as they were written, wherever the bytes are cut, with line ends of either kind",
    [Parts, Cuts, Schema.Boolean],
    ([parts, cuts, crlf]) => {
      const events = parts.flatMap((part) =>
        typeof part === "string" || part.data.length === 0 ? [] : [{ type: part.type, data: part.data.join("") }]
      )
      const text = parts.map((part) =>
        typeof part === "string" ? noise[part] : StreamEvent.encode({ type: part.type, data: part.data.join("") })
      ).join("")
      const bytes = bytesOf(crlf ? text.replaceAll("\n", "\r\n") : text)
      assert.deepStrictEqual(read(cut(bytes, cuts)), events)
    }
  )

  it("are the same at every single cut", () => {
    const events = [message("{\"note\":\"5 % of 3 €\\r\\n🎉\"}"), { type: "position", data: "{}" }, StreamEvent.end]
    const bytes = bytesOf(StreamEvent.comment + events.map(StreamEvent.encode).join(StreamEvent.comment))
    for (let at = 0; at <= bytes.length; at++) {
      assert.deepStrictEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), events)
    }
  })

  it("have no line end in their data, and no other escape than the three", () => {
    assert.strictEqual(
      StreamEvent.encode(message("100 %\r\n%0A é")),
      "data: 100 %25%0D%0A%250A é\n\n"
    )
    assert.deepStrictEqual(readText("data: %41%2\u0035%0a%\n\n"), [message("%41%%0a%")])
  })

  it("follow the rules that the old clients share", () => {
    assert.deepStrictEqual(
      readText("data:{\ndata: }\nid: 1\nretry: 5\nnonsense\n: comment\n\nevent: x\n\ndata:\n\ndata:  two\n\n"),
      [message("{\n}"), message(" two")]
    )
    assert.deepStrictEqual(readText("data: not yet\n"), [])
  })

  it("that end before the limit pass it together, and one that does not end fails", () => {
    const decoder = () => StreamEvent.makeDecoder({ maxEventLength: 20 })
    const small = "data: 0123456789\n\n"
    assert.strictEqual(read(cut(bytesOf(small.repeat(10)), [7]), decoder()).length, 10)
    for (
      const large of ["data: 0123456789\ndata: 0123456789\n", "data: 01234567890123456789", ": 01234567890123456789"]
    ) {
      const one = decoder()
      const results = [...cut(bytesOf(large), [5])].map((piece) => one.feed(piece))
      const failure = results.find(Result.isFailure)
      assert.deepStrictEqual(failure?.failure.reason, { _tag: "TooLarge", limit: 20 })
    }
  })

  it("that are no UTF-8 fail", () => {
    const result = StreamEvent.makeDecoder().feed(Uint8Array.of(0x64, 0xff))
    assert.deepStrictEqual(Result.getOrThrow(Result.flip(result)).reason, { _tag: "NotUtf8" })
  })
})

describe("A failure", () => {
  it.prop(
    "is the refusal that it was, but for its status",
    [Schema.Literals([...RealmError.table.keys()])],
    ([code]) => {
      const known = RealmError.table.get(code)!
      // The keys of the table are the codes.
      const error = RealmError.make(code as RealmError.ErrorCode, "the server's words")
      const again = StreamEvent.refusal(StreamEvent.failure(error).data)
      if (known.codeless === true) assert.strictEqual(RealmError.toWire(again).error, "the server's words")
      else assert.deepStrictEqual(again, error)
    }
  )

  it.prop("of any form at all is an error with words", [Schema.Json, Schema.String], ([json, text]) => {
    for (const data of [JSON.stringify(json), text, ""]) {
      assert.notStrictEqual(RealmError.toWire(StreamEvent.refusal(data)).error, "")
    }
  })

  it("that no one can read has its text for words", () => {
    assert.deepStrictEqual(
      StreamEvent.refusal("out of order"),
      new RealmError.UnknownServiceError({ detail: "out of order", status: 500 })
    )
    assert.deepStrictEqual(
      StreamEvent.refusal("{\"error\":\"no\",\"error_code\":\"Tomorrow\"}"),
      new RealmError.UnknownServiceError({ code: "Tomorrow", detail: "no", status: 500 })
    )
  })
})

describe("A streaming call", () => {
  it.prop(
    "is in the query as Base64 of JSON, by its present name or that of Stitch",
    [Endpoint.FunctionCall],
    ([asked]) => {
      // JSON has one zero only.
      const call = Schema.decodeUnknownSync(Endpoint.FunctionCall)(JSON.parse(JSON.stringify(asked)))
      const { baas_request } = Endpoint.streamQuery(asked)
      assert.deepStrictEqual(Endpoint.streamCall({ baas_request }), Option.some(call))
      assert.deepStrictEqual(Endpoint.streamCall({ stitch_request: baas_request }), Option.some(call))
    }
  )
})
