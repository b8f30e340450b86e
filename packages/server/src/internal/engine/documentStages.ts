/**
 * The stages of a pipeline that look at one document after the other, or put them in order.
 */
import { Long } from "bson"
import { type Fields, isArray, isFields } from "./bsonValue.ts"
import { parsePath, valueAt } from "./documentPath.ts"
import { boundedDocument } from "./documentSize.ts"
import { parseSort, sortDocuments } from "./documentSort.ts"
import { compileExpression } from "./expression.ts"
import type { Names } from "./expressionScope.ts"
import { badFilter } from "./failure.ts"
import { isNothing } from "./operator.ts"
import { compileComputed, compileProjection, withComputed, withFieldAt } from "./projection.ts"
import { compileClauses, exactFilter } from "./query.ts"
import { countOf, objectOf, ofDocument, type Run, type Surroundings } from "./stage.ts"
import { stepsOfDocument } from "./steps.ts"
import { collected } from "./work.ts"

const each = (apply: (document: Fields, surroundings: Surroundings) => Fields): Run =>
  function*(documents, surroundings) {
    for (const document of documents) {
      yield document && boundedDocument(apply(document, ofDocument(surroundings)))
    }
  }

export const match = (operand: unknown, names: Names): Run => {
  const matches = compileClauses(exactFilter(operand), names)
  return function*(documents, surroundings) {
    for (const document of documents) {
      const isFound = document !== undefined && matches(document, { ...surroundings, spend: stepsOfDocument() })
      yield isFound ? document : undefined
    }
  }
}

export const project = (operand: unknown, names: Names): Run => {
  const fields = objectOf("$project", operand)
  if (Object.keys(fields).length === 0) throw badFilter("$project needs at least one field", "$project")
  const projection = compileProjection(fields, "stage", names)
  return each((document, surroundings) => projection(document, surroundings, {}))
}

export const addFields = (stage: string, operand: unknown, names: Names): Run => {
  const computed = compileComputed(objectOf(stage, operand), names)
  if (computed.length === 0) throw badFilter(`${stage} needs at least one field`, stage)
  return each((document, surroundings) => withComputed(document, computed, { ...surroundings, root: document }))
}

export const unset = (operand: unknown): Run => {
  const names = isArray(operand) ? operand : [operand]
  if (names.length === 0 || !names.every((name) => typeof name === "string")) {
    throw badFilter("$unset needs a path or an array of paths", "$unset")
  }
  const projection = compileProjection(Object.fromEntries(names.map((name) => [String(name), 0])), "stage")
  return each((document, surroundings) => projection(document, surroundings, {}))
}

export const replaceRoot = (stage: string, operand: unknown, names: Names): Run => {
  const expression = compileExpression(operand, names)
  return each((document, surroundings) => {
    const root = expression({ ...surroundings, root: document })
    if (!isFields(root)) throw badFilter(`${stage} needs an expression that is a document`, stage)
    return root
  })
}

export const newRoot = (operand: unknown): unknown => {
  const { newRoot } = objectOf("$replaceRoot", operand)
  if (newRoot === undefined) throw badFilter("no newRoot specified for the $replaceRoot stage", "$replaceRoot")
  return newRoot
}

export const sort = (operand: unknown): Run => {
  const keys = parseSort(objectOf("$sort", operand))
  if (keys.length === 0) throw badFilter("$sort needs at least one path", "$sort")
  return function*(documents) {
    const all = yield* collected(documents)
    for (const { document } of yield* sortDocuments(all.map((document) => ({ document })), keys)) yield document
  }
}

export const limit = (operand: unknown): Run => {
  const most = countOf("$limit", operand, 1)
  return function*(documents) {
    let count = 0
    for (const document of documents) {
      yield document
      if (document !== undefined && ++count >= most) return
    }
  }
}

export const skip = (operand: unknown): Run => {
  const least = countOf("$skip", operand, 0)
  return function*(documents) {
    let count = 0
    for (const document of documents) yield document !== undefined && ++count > least ? document : undefined
  }
}

const pathOf = (stage: string, value: unknown): string => {
  if (typeof value !== "string" || !value.startsWith("$") || value.length < 2 || value.startsWith("$$")) {
    throw badFilter(`${stage} needs a path that begins with $`, stage)
  }
  return value.slice(1)
}

export const unwind = (operand: unknown): Run => {
  const options = isFields(operand) ? operand : { path: operand }
  const path = parsePath(pathOf("$unwind", options["path"]))
  const index = options["includeArrayIndex"]
  if (index !== undefined && (typeof index !== "string" || index === "" || index.startsWith("$"))) {
    throw badFilter("$unwind needs includeArrayIndex to name a field", "$unwind")
  }
  const isPreserving = options["preserveNullAndEmptyArrays"] === true
  return function*(documents, { spend }) {
    const at = (document: Fields, position: Long | null): Fields => {
      spend(1)
      return index === undefined ? document : withFieldAt(document, parsePath(index), position, stepsOfDocument())
    }
    const holding = (document: Fields, value: unknown): Fields => withFieldAt(document, path, value, stepsOfDocument())
    for (const document of documents) {
      const value = document && valueAt(document, path)
      if (document === undefined) yield
      else if (!isArray(value)) yield isPreserving || !isNothing(value) ? at(document, null) : undefined
      else if (value.length === 0) yield isPreserving ? at(holding(document, undefined), null) : undefined
      else {
        for (const [position, element] of value.entries()) {
          yield at(holding(document, element), Long.fromNumber(position))
        }
      }
    }
  }
}

export const sample = (operand: unknown): Run => {
  const size = countOf("$sample", objectOf("$sample", operand)["size"], 1)
  return function*(documents, { random }) {
    const all = yield* collected(documents)
    for (let count = 0; count < size; count++) {
      const chosen = Math.floor(random() * all.length)
      const document = all[chosen]
      const last = all.pop()
      if (document === undefined || last === undefined) return
      if (chosen < all.length) all[chosen] = last
      yield document
    }
  }
}
