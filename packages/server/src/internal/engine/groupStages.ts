/**
 * The stages of a pipeline that make one document of many.
 */
import { Int32 } from "bson"
import { compileAccumulator, groupKey } from "./accumulator.ts"
import { compare } from "./bsonOrder.ts"
import { type Fields, isArray, rankOf, setField } from "./bsonValue.ts"
import { boundedDocument } from "./documentSize.ts"
import { sort } from "./documentStages.ts"
import { compileExpression } from "./expression.ts"
import type { Expression, Names } from "./expressionScope.ts"
import { badFilter } from "./failure.ts"
import { objectOf, ofDocument, type Run } from "./stage.ts"

const groupBy = (key: Expression, fields: Fields, names: Names): Run => {
  const accumulators = Object.keys(fields).map((name) => {
    if (name.includes(".") || name.startsWith("$")) throw badFilter(`"${name}" cannot name a field of $group`, "$group")
    return [name, compileAccumulator(name, fields[name], names)] as const
  })
  return function*(documents, surroundings) {
    const groups = new Map<string, ReturnType<typeof begin>>()
    const begin = (id: unknown) => ({
      id: id ?? null,
      values: accumulators.map(([name, accumulator]) => [name, accumulator()] as const)
    })
    for (const document of documents) {
      yield
      if (document === undefined) continue
      const scope = { ...ofDocument(surroundings), root: document }
      const id = key(scope)
      const text = groupKey(id)
      let group = groups.get(text)
      if (group === undefined) {
        group = begin(id)
        groups.set(text, group)
      }
      for (const [, value] of group.values) value.add(scope)
    }
    for (const { id, values } of groups.values()) {
      const result: Fields = { _id: id }
      for (const [name, value] of values) setField(result, name, value.result())
      yield boundedDocument(result)
    }
  }
}

export const group = (operand: unknown, names: Names): Run => {
  const { _id, ...fields } = objectOf("$group", operand)
  if (_id === undefined) throw badFilter("a group specification must include an _id", "$group")
  return groupBy(compileExpression(_id, names), fields, names)
}

export const count = (operand: unknown): Run => {
  if (typeof operand !== "string" || operand === "" || /^\$|\.|\0/.test(operand)) {
    throw badFilter("$count needs the name of a field", "$count")
  }
  return function*(documents) {
    let total = 0
    for (const document of documents) {
      if (document !== undefined) total++
      yield
    }
    if (total > 0) yield { [operand]: new Int32(total) }
  }
}

export const sortByCount = (operand: unknown, names: Names): Run => {
  const grouped = group({ _id: operand, count: { $sum: new Int32(1) } }, names)
  const sorted = sort({ count: new Int32(-1) })
  return (documents, surroundings) => sorted(grouped(documents, surroundings), surroundings)
}

export const bucket = (operand: unknown, names: Names): Run => {
  const options = objectOf("$bucket", operand)
  const { boundaries, groupBy: by } = options
  if (by === undefined || !isArray(boundaries) || boundaries.length < 2) {
    throw badFilter("$bucket needs groupBy and at least two boundaries", "$bucket")
  }
  if (boundaries.some((boundary, index) => index > 0 && compare(boundaries[index - 1], boundary) >= 0)) {
    throw badFilter("$bucket needs boundaries that ascend", "$bucket")
  }
  const [lowest] = boundaries
  if (boundaries.some((boundary) => rankOf(boundary) !== rankOf(lowest))) {
    throw badFilter("$bucket needs boundaries of one type", "$bucket")
  }
  const value = compileExpression(by, names)
  const others = options["default"]
  if (others !== undefined && compare(others, lowest) >= 0 && compare(others, boundaries.at(-1)) < 0) {
    throw badFilter("$bucket needs a default that lies in none of its buckets", "$bucket")
  }
  const bucketOf: Expression = (scope) => {
    const found = value(scope)
    const next = boundaries.findIndex((boundary) => compare(found, boundary) < 0)
    if (next > 0) return boundaries[next - 1]
    if (others === undefined) {
      throw badFilter("$bucket found a value that is in no bucket, and there is no default", "$bucket")
    }
    return others
  }
  const output = options["output"] === undefined ? { count: { $sum: new Int32(1) } } : options["output"]
  const grouped = groupBy(bucketOf, objectOf("$bucket", output), names)
  const sorted = sort({ _id: new Int32(1) })
  return (documents, surroundings) => sorted(grouped(documents, surroundings), surroundings)
}
