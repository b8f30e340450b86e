import { assert, describe, it } from "@effect/vitest"
import { Double, Int32, Long, ObjectId } from "bson"
import type * as Schema from "effect/Schema"
import * as DocumentSchema from "../src/internal/documents/documentSchema.ts"

type Fields = { [name: string]: unknown }

const check = (schema: Schema.Json, document: Fields, before?: Fields): string | undefined => {
  const compiled = DocumentSchema.compile(schema)
  assert.deepStrictEqual(compiled.unsupported, [])
  return compiled.check(document, before, {
    user: { id: "ann" },
    values: {},
    environment: {},
    request: {},
    root: document,
    prevRoot: before
  })
}

const of = (schema: Schema.Json): Schema.Json => ({ bsonType: "object", properties: { a: schema } })

const table: ReadonlyArray<
  readonly [schema: Schema.Json, fits: ReadonlyArray<Fields>, wrong: ReadonlyArray<readonly [Fields, string]>]
> = [
  [
    of({ bsonType: "string" }),
    [{ a: "x" }, {}, { a: "x", b: 1 }],
    [[{ a: new Int32(1) }, "\"a\" has to be of type string"], [{ a: null }, "\"a\" has to be of type string"]]
  ],
  [of({ bsonType: ["int", "null"] }), [{ a: new Int32(1) }, { a: null }], [[
    { a: new Double(1) },
    "\"a\" has to be of type int or null"
  ]]],
  [of({ bsonType: "objectId" }), [{ a: new ObjectId() }], [[{ a: "x" }, "\"a\" has to be of type objectId"]]],
  [of({ bsonType: "number" }), [{ a: Long.fromNumber(1) }, { a: new Double(1) }], [[
    { a: "1" },
    "\"a\" has to be of type number"
  ]]],
  [{ required: ["a", "b"] }, [{ a: 1, b: null }], [[{ a: 1 }, "\"b\" is required"]]],
  [of({ enum: ["x", 1] }), [{ a: "x" }, { a: new Double(1) }], [[
    { a: "y" },
    "\"a\" is none of the values of the schema's enum"
  ]]],
  [
    { properties: { a: {} }, additionalProperties: false },
    [{ _id: 1, a: 1 }],
    [[{ a: 1, b: 1 }, "\"b\" is no field of the schema"]]
  ],
  [
    { properties: { a: {} }, additionalProperties: { bsonType: "bool" } },
    [{ a: 1, b: true }],
    [[{ b: "x" }, "\"b\" has to be of type bool"]]
  ],
  [{ patternProperties: { "^x": { bsonType: "bool" } } }, [{ xa: true, y: 1 }], [[
    { xa: "x" },
    "\"xa\" has to be of type bool"
  ]]],
  [{ minProperties: 1, maxProperties: 2 }, [{ a: 1 }], [
    [{}, "the document has to have at least 1 fields"],
    [{ a: 1, b: 1, c: 1 }, "the document has to have at most 2 fields"]
  ]],
  [{ dependencies: { a: ["b"] } }, [{ a: 1, b: 1 }, { c: 1 }], [[{ a: 1 }, "\"b\" is required"]]],
  [
    of({
      bsonType: "array",
      items: { bsonType: "object", required: ["n"] },
      minItems: 1,
      maxItems: 2,
      uniqueItems: true
    }),
    [{ a: [{ n: new Int32(1) }] }],
    [
      [{ a: [] }, "\"a\" has to have at least 1 elements"],
      [{ a: [{ n: new Int32(1) }, { n: new Double(1) }] }, "\"a\" has an element twice"],
      [{ a: [{}] }, "\"a.0.n\" is required"]
    ]
  ],
  [of({ items: [{ bsonType: "int" }], additionalItems: false }), [{ a: [new Int32(1)] }], [[
    { a: [new Int32(1), new Int32(2)] },
    "\"a\" may have at most 1 elements"
  ]]],
  [of({ pattern: "^(a+)+$" }), [{ a: "aa" }], [[
    { a: `${"a".repeat(100)}!` },
    "\"a\" does not match the pattern of the schema"
  ]]],
  [of({ pattern: "^(?!x)[\\w\\-]+$" }), [{ a: "a-b" }], [[
    { a: "xy" },
    "\"a\" does not match the pattern of the schema"
  ]]],
  [of({ minLength: 2, maxLength: 3, pattern: "^[a-z]+$" }), [{ a: "ab" }, { a: new Int32(5) }], [
    [{ a: "a" }, "\"a\" has to have at least 2 characters"],
    [{ a: "abcd" }, "\"a\" has to have at most 3 characters"],
    [{ a: "AB" }, "\"a\" does not match the pattern of the schema"]
  ]],
  [of({ minimum: 1, maximum: 5, exclusiveMaximum: true, multipleOf: 2 }), [{ a: new Int32(2) }, { a: "x" }], [
    [{ a: new Int32(0) }, "\"a\" has to be greater than or equal to 1"],
    [{ a: new Int32(5) }, "\"a\" has to be less than 5"],
    [{ a: new Int32(3) }, "\"a\" has to be a multiple of 2"]
  ]],
  [of({ exclusiveMinimum: 1 }), [{ a: new Int32(2) }], [[{ a: new Int32(1) }, "\"a\" has to be greater than 1"]]],
  [of({ anyOf: [{ bsonType: "string" }, { bsonType: "bool" }] }), [{ a: "x" }, { a: true }], [[
    { a: null },
    "\"a\" has to be of type string"
  ]]],
  [of({ not: { bsonType: "string" } }), [{ a: true }], [[{ a: "x" }, "\"a\" is what the schema rules out"]]],
  [of({ validate: { "%%this": "%%user.id" } }), [{ a: "ann" }], [[
    { a: "bob" },
    "\"a\" is not valid by the schema's validate"
  ]]]
]

describe("a schema", () => {
  it("lets through what fits, and tells of anything else where it is and what it has to be", () => {
    for (const [schema, fits, wrong] of table) {
      for (const document of fits) assert.isUndefined(check(schema, document), JSON.stringify([schema, document]))
      for (const [document, words] of wrong) assert.strictEqual(check(schema, document), words)
    }
  })

  it("may compare a field with what it was", () => {
    const schema = of({ validate: { "%%this": { "%gte": "%%prev" } } })
    assert.isUndefined(check(schema, { a: new Int32(2) }, { a: new Int32(1) }))
    assert.isDefined(check(schema, { a: new Int32(0) }, { a: new Int32(1) }))
  })

  it("says of each keyword that it does not know, before any document is written", () => {
    const wrong: ReadonlyArray<readonly [Schema.Json, string]> = [
      [{ colour: 1 }, "colour"],
      [of({ bsonType: "colour" }), "properties.a.bsonType"],
      [of({ pattern: "(" }), "properties.a.pattern"],
      [of({ minimum: "x" }), "properties.a.minimum"],
      [of({ validate: { "%%who": 1 } }), "properties.a.validate.%%who"],
      [of("string"), "properties.a"],
      [[], ""]
    ]
    for (const [schema, path] of wrong) {
      assert.deepStrictEqual(DocumentSchema.compile(schema).unsupported.map((found) => found.path.join(".")), [path])
    }
  })
})
