import { assert, describe, it } from "@effect/vitest"
import { Binary, BSONRegExp, Decimal128, Double, Int32, Long, ObjectId, UUID } from "bson"
import type * as Schema from "effect/Schema"
import * as Expression from "../src/internal/documents/ruleExpression.ts"

const id = "65f000000000000000000001"
const uuid = new UUID("0d5b6e4c-9b62-4b3c-8c1c-2f5e6f0a1b0b")

const answers: { readonly [name: string]: (...args: ReadonlyArray<unknown>) => unknown } = {
  yes: () => true,
  no: () => false,
  same: (value) => value,
  fails: () => {
    throw new Expression.FunctionFailed()
  }
}

const scope: Expression.DocumentScope = {
  user: { id: "ann", data: { name: "Ann" }, custom_data: { teams: ["red", "blue"], level: new Int32(2), oid: id } },
  values: { admins: ["ann", "bob"], limit: 5 },
  environment: { tag: "qa", values: { open: true } },
  request: { remoteIPAddress: "127.0.0.1" },
  root: {
    _id: new ObjectId(id),
    owner: "ann",
    team: "red",
    level: new Int32(3),
    long: Long.fromNumber(3),
    double: new Double(3),
    decimal: Decimal128.fromString("3.0"),
    when: new Date(5),
    uuid: new Binary(uuid.buffer, 4),
    shared: ["ann", "cid"],
    inner: { a: new Int32(1), list: [new Int32(7)] },
    none: null,
    open: true
  },
  prevRoot: { owner: "bob", level: new Int32(1) },
  this: new Int32(4),
  prev: new Int32(2),
  ask: (name, args) => answers[name]?.(...args)
}

const evaluate = (expression: Schema.Json): boolean => {
  const { evaluate, unsupported } = Expression.compile(expression, "document")
  assert.deepStrictEqual(unsupported, [])
  return evaluate(scope)
}

const table: {
  readonly [name: string]: readonly [holds: ReadonlyArray<Schema.Json>, fails: ReadonlyArray<Schema.Json>]
} = {
  "a boolean, and an object of which every member holds": [
    [true, {}, "%%true", { owner: "ann", team: "red" }],
    [false, "%%false", { owner: "ann", team: "blue" }]
  ],
  "a bare name, which is a field of the document": [
    [{ owner: "%%user.id" }, { "inner.a": 1 }, { "inner.list.0": 7 }, { none: null }, { open: true }],
    [{ owner: "%%user.data.name" }, { "inner.b": null }, { missing: null }, { constructor: { "%exists": true } }]
  ],
  "expansions of everything there is": [
    [
      { "%%user.id": "ann" },
      { "%%values.limit": 5 },
      { "%%environment.tag": "qa" },
      { "%%environment.values.open": true },
      { "%%request.remoteIPAddress": "127.0.0.1" },
      { "%%root.owner": "%%user.id" },
      { "%%prevRoot.owner": "bob" },
      { "%%this": 4 },
      { "%%prev": 2 },
      { "%%user.id%%": "ann" }
    ],
    [{ "%%prevRoot.owner": "%%root.owner" }, { "%%this": "%%prev" }]
  ],
  "an expansion that leads nowhere, which equals nothing": [
    [{ "%%user.custom_data.none": { "%exists": false } }, { "%%user.custom_data.none": { "%ne": 1 } }],
    [{ "%%user.custom_data.none": "%%root.missing" }, { "%%user.custom_data.none": null }, { owner: "%%user.none" }]
  ],
  "numbers of every type by their value, and no other types by theirs": [
    [
      { level: 3, long: 3, double: 3, decimal: 3 },
      { level: "%%root.long" },
      { double: "%%root.decimal" },
      { level: { $numberLong: "3" } },
      { level: { "%gt": 2, "%lte": "%%root.double" } },
      { when: { $date: { $numberLong: "5" } } },
      { when: { "%lt": { $date: { $numberLong: "6" } } } }
    ],
    [{ level: "3" }, { when: 5 }, { when: { "%gt": 4 } }, { owner: { "%gt": 1 } }, { missing: { "%lt": 9 } }]
  ],
  "arrays, which equal what they contain, on either side": [
    [{ shared: "%%user.id" }, { "%%user.custom_data.teams": "%%root.team" }, { team: "%%user.custom_data.teams" }, {
      shared: ["ann", "cid"]
    }],
    [{ shared: "bob" }, { shared: ["cid", "ann"] }, { team: ["blue"] }]
  ],
  "operators, under both prefixes": [
    [
      { owner: { "%eq": "ann" } },
      { owner: { "$ne": "bob" } },
      { owner: { "%neq": "bob" } },
      { owner: { "%in": ["ann", "bob"] } },
      { owner: { "%in": "%%values.admins" } },
      { owner: { "%nin": ["bob"] } },
      { owner: { "%exists": 1 } },
      { missing: { "%exists": 0 } },
      { level: { "%not": { "%gt": 5 } } },
      { level: { "$or": [{ "$gt": 5 }, { "$lt": 4 }] } },
      { level: { "%nor": [9, { "%gt": 5 }] } }
    ],
    [
      { owner: { "%in": "ann" } },
      { owner: { "%nin": "%%values.admins" } },
      { level: { "%and": [{ "%gt": 2 }, { "%gt": 3 }] } },
      { owner: { "%exists": false } }
    ]
  ],
  "logic at the top": [
    [
      { "%and": [{ owner: "ann" }, true] },
      { "$or": [false, { owner: "ann" }] },
      { "%nor": [false, { owner: "bob" }] },
      { "%not": { owner: "bob" } }
    ],
    [{ "%and": [true, false] }, { "%or": [] }, { "%not": {} }]
  ],
  "%%true and %%false of what is nested": [
    [{ "%%true": { owner: "ann" } }, { "%%false": { owner: "bob" } }, { "%%true": "%%root.open" }],
    [{ "%%true": { owner: "bob" } }, { "%%true": "%%root.owner" }]
  ],
  "conversions between text and identifiers": [
    [
      { _id: { "%stringToOid": "%%user.custom_data.oid" } },
      { _id: { "%in": [{ "%stringToOid": id }] } },
      { "%%user.custom_data.oid": { "%oidToString": "%%root._id" } },
      { uuid: { "%stringToUuid": uuid.toHexString() } },
      { _id: { $oid: id } }
    ],
    [{ _id: "%%user.custom_data.oid" }, { _id: { "%stringToOid": "no" } }, { _id: { "%stringToOid": 5 } }]
  ],
  "functions, by their answer": [
    [
      { "%%true": { "%function": { name: "yes", arguments: [] } } },
      { "%%false": { "%function": { name: "no" } } },
      { owner: { "%function": { name: "same", arguments: ["%%user.id"] } } },
      { "%function": { name: "yes" } }
    ],
    [
      { "%%true": { "%function": { name: "no", arguments: [] } } },
      { "%%true": { "%function": { name: "same", arguments: [1] } } },
      { "%%true": { "%function": { name: "fails" } } },
      { "%not": { "%%true": { "%function": { name: "fails" } } } }
    ]
  ]
}

describe("an expression", () => {
  for (const [name, [holds, fails]] of Object.entries(table)) {
    it(`may be ${name}`, () => {
      for (const expression of holds) assert.isTrue(evaluate(expression), JSON.stringify(expression))
      for (const expression of fails) assert.isFalse(evaluate(expression), JSON.stringify(expression))
    })
  }

  it("that cannot be evaluated grants nothing, and says what and where", () => {
    const wrong: ReadonlyArray<readonly [expression: Schema.Json, subject: Expression.Subject, path: string]> = [
      [{ owner: { "%who": 1 } }, "document", "owner.%who"],
      [{ owner: { "%toString": 1 } }, "document", "owner.%toString"],
      [{ "%or": { owner: 1 } }, "document", "%or"],
      [{ "%and": ["x"] }, "document", "%and.0"],
      [{ "%exists": true }, "document", "%exists"],
      [{ owner: { "%exists": "yes" } }, "document", "owner.%exists"],
      [{ owner: "%%root.owner" }, "request", "owner"],
      [{ "%%user.id": "%%root.owner" }, "request", "%%user.id"],
      [{ "%%who.id": 1 }, "document", "%%who.id"],
      [{ "%%true": { "%function": { name: "yes" } } }, "call", "%%true.%function"],
      [{ "%%true": { "%function": { arguments: [] } } }, "document", "%%true.%function"],
      [{ "%%true": { "%function": { name: "yes", arguments: 1 } } }, "document", "%%true.%function"],
      ["owner", "document", ""],
      [null, "document", ""],
      [[], "document", ""]
    ]
    for (const [expression, subject, path] of wrong) {
      const compiled = Expression.compile(expression, subject)
      assert.deepStrictEqual(compiled.unsupported.map((found) => found.path.join(".")), [path])
      assert.isFalse(compiled.evaluate(scope))
      assert.isFalse(Expression.compile({ "%not": expression }, subject).evaluate(scope))
    }
  })

  it("tells what it reads and asks", () => {
    const { constant, fields, functions, reads } = Expression.compile({
      owner: "%%user.id",
      "%%prevRoot.a.b": { "%function": { name: "f", arguments: ["%%this"] } }
    }, "document")
    assert.deepStrictEqual([...fields], ["owner", "a.b"])
    assert.deepStrictEqual([...functions], ["f"])
    assert.deepStrictEqual(new Set(reads), new Set(["root", "user", "prevRoot", "this"]))
    assert.isUndefined(constant)
    assert.isTrue(Expression.compile({ "%not": false }, "document").constant)
  })
})

describe("a value with expansions", () => {
  it("is what they stand for, or nothing when one of them leads nowhere", () => {
    const value = (node: Schema.Json) => Expression.compileValue(node).evaluate(scope)
    assert.deepStrictEqual(value({ owner: "%%user.id", n: { $in: [1, "%%values.limit"] } }), {
      owner: "ann",
      n: { $in: [1, 5] }
    })
    assert.deepStrictEqual(value({ _id: { "%stringToOid": id }, o: { $oid: id } }), {
      _id: new ObjectId(id),
      o: new ObjectId(id)
    })
    assert.isUndefined(value({ $or: [{ owner: "%%user.none" }, { n: 1 }] }))
  })

  it("never takes an operator or a regular expression out of somebody's data", () => {
    for (const team of [{ $ne: null }, new BSONRegExp(".*", ""), ["red", { a: [{ $exists: true }] }]]) {
      const user = { custom_data: { team } }
      assert.isUndefined(Expression.compileValue({ team: "%%user.custom_data.team" }).evaluate({ ...scope, user }))
    }
  })
})
