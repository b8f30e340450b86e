/**
 * Which element of an array a filter has found: what the positional `$` stands for.
 */
import { assignFields, type Fields, isArray, isFields, setField } from "./bsonValue.ts"
import { type Path, valueAt } from "./documentPath.ts"
import { compileClauses } from "./query.ts"
import { isOperators } from "./queryCondition.ts"
import type { Spend } from "./steps.ts"

/** What a condition finds elements by: not by what it rules out. */
const affirmed = (condition: unknown): unknown => {
  if (!isOperators(condition)) return condition
  const operators: Fields = {}
  for (const name of Object.keys(condition)) {
    const isNegation = name === "$ne" || name === "$nin" || name === "$not" ||
      (name === "$exists" && condition[name] === false)
    if (!isNegation) setField(operators, name, condition[name])
  }
  return Object.keys(operators).length === 0 ? undefined : operators
}

const clausesUnder = (filter: Fields, prefix: string): Fields => {
  const clauses: Fields = {}
  for (const name of Object.keys(filter)) {
    const value = filter[name]
    if (name === prefix || name.startsWith(`${prefix}.`)) {
      const condition = affirmed(value)
      if (condition !== undefined) setField(clauses, name, condition)
    } else if (name === "$and" && isArray(value)) {
      for (const clause of value) if (isFields(clause)) assignFields(clauses, clausesUnder(clause, prefix))
    }
  }
  return clauses
}

/** The place of the first element of the array at `head` that the filter asks for; `undefined` when it asks for none. */
export const foundPosition = (head: Path, document: Fields, filter: Fields, spend: Spend): number | undefined => {
  const array = valueAt(document, head)
  const clauses = clausesUnder(filter, head.join("."))
  if (!isArray(array) || Object.keys(clauses).length === 0) return undefined
  const matches = compileClauses(clauses)
  const index = array.findIndex((element) => {
    let wrapped: unknown = [element]
    for (const segment of head.toReversed()) wrapped = { [segment]: wrapped }
    return isFields(wrapped) && matches(wrapped, { spend })
  })
  return index === -1 ? undefined : index
}
