/**
 * Aggregation pipelines, compiled into steps over documents in exact form.
 */
import { BSONRegExp } from "bson"
import { wholeNumber } from "./bsonNumber.ts"
import { exact, type Fields, isArray, isFields, setField } from "./bsonValue.ts"
import { missing, parsePath, type Path, someValue } from "./documentPath.ts"
import { parseSelection, type Selection } from "./documentSearch.ts"
import { boundedDocument } from "./documentSize.ts"
import {
  addFields,
  limit,
  match,
  newRoot,
  project,
  replaceRoot,
  sample,
  skip,
  sort,
  unset,
  unwind
} from "./documentStages.ts"
import { compileExpression } from "./expression.ts"
import { variableName } from "./expressionForms.ts"
import { bind, type Names, type Scope } from "./expressionScope.ts"
import { badFilter, badPipeline } from "./failure.ts"
import { bucket, count, group, sortByCount } from "./groupStages.ts"
import { withFieldAt } from "./projection.ts"
import { isOperators } from "./queryCondition.ts"
import { type Documents, objectOf, ofDocument, type Run, type Stage, type Surroundings } from "./stage.ts"
import { stepsOfDocument } from "./steps.ts"
import { unsupportedStages } from "./unsupported.ts"
import { collected, type Work } from "./work.ts"

// MongoDB's own limit
const maxStages = 1000

const fieldOf = (name: string, value: unknown): string => {
  if (typeof value !== "string" || value.startsWith("$") || parsePath(value).includes("")) {
    throw badFilter(`$lookup needs the path of a field for ${name}`, "$lookup")
  }
  return value
}

/** What a document is joined by: each value at the path, of an array its elements, and null where there is none. */
const joiningValues = (document: Fields, path: Path): ReadonlyArray<unknown> => {
  const values: Array<unknown> = []
  const collect = (value: unknown): false => {
    for (const one of isArray(value) ? value : [value]) if (one !== missing) values.push(one)
    return false
  }
  someValue(document, path, collect, true)
  return values.length === 0 ? [null] : values
}

/** The filter of documents that have one of these values. None of them is asked as a filter, whatever it looks like. */
const equalsOne = (field: string, values: ReadonlyArray<unknown>): Fields =>
  values.some((value) => value instanceof BSONRegExp || isOperators(value))
    ? { $or: values.map((value) => ({ [field]: { $eq: value } })) }
    : { [field]: { $in: values } }

const lookup = (operand: unknown, names: Names): Run => {
  const options = objectOf("$lookup", operand)
  const { as, foreignField, from, localField, pipeline } = options
  if (typeof from !== "string") throw badFilter("$lookup needs the name of a collection for from", "$lookup")
  const target = parsePath(fieldOf("as", as))
  const isByField = localField !== undefined || foreignField !== undefined
  const local = isByField ? parsePath(fieldOf("localField", localField)) : []
  const foreign = isByField ? fieldOf("foreignField", foreignField) : ""
  if (!isByField && pipeline === undefined) throw badFilter("$lookup needs fields or a pipeline", "$lookup")
  const variables = Object.entries(objectOf("$lookup", options["let"] ?? {})).map(
    ([name, value]) => [variableName("$lookup", name), compileExpression(value, names)] as const
  )
  const inner = new Set([...names, ...variables.map(([name]) => name)])
  const stages = pipeline === undefined ? [] : compileStages(pipeline, inner)
  return function*(documents, surroundings) {
    for (const document of documents) {
      if (document === undefined) {
        yield
        continue
      }
      const own = ofDocument(surroundings)
      const filter = isByField ? equalsOne(foreign, joiningValues(document, local)) : {}
      const scope = variables.reduce<Scope>(
        (scope, [name, expression]) => bind(scope, name, expression({ ...own, root: document })),
        { ...own, root: document }
      )
      const found = runStages(stages, surroundings.others(from, filter), { ...surroundings, bindings: scope.bindings })
      const list: Array<Fields> = []
      for (const one of found) {
        yield
        if (one === undefined) continue
        surroundings.spend(1)
        list.push(one)
      }
      yield boundedDocument(withFieldAt(document, target, list, stepsOfDocument()))
    }
  }
}

const unionWith = (operand: unknown): Run => {
  const options = typeof operand === "string" ? { coll: operand } : objectOf("$unionWith", operand)
  const { coll } = options
  if (typeof coll !== "string") throw badFilter("$unionWith needs the name of a collection", "$unionWith")
  const stages = compileStages(options["pipeline"] ?? [])
  return function*(documents, surroundings) {
    yield* documents
    yield* runStages(stages, surroundings.others(coll, {}), surroundings)
  }
}

const facet = (operand: unknown, names: Names): Run => {
  const pipelines = Object.entries(objectOf("$facet", operand)).map(([name, pipeline]) => {
    const stages = compileStages(pipeline, names)
    if (stages.some((stage) => stage.name === "$facet")) throw badFilter("$facet cannot hold $facet", "$facet")
    return [name, stages] as const
  })
  if (pipelines.length === 0) throw badFilter("$facet needs at least one pipeline", "$facet")
  return function*(documents, surroundings) {
    const all = yield* collected(documents)
    const result: Fields = {}
    for (const [name, stages] of pipelines) {
      setField(result, name, yield* collected(runStages(stages, all, surroundings)))
    }
    yield boundedDocument(result)
  }
}

const compileRun = (name: string, operand: unknown, names: Names): Run => {
  switch (name) {
    case "$match":
      return match(operand, names)
    case "$project":
      return project(operand, names)
    case "$addFields":
    case "$set":
      return addFields(name, operand, names)
    case "$unset":
      return unset(operand)
    case "$replaceRoot":
      return replaceRoot(name, newRoot(operand), names)
    case "$replaceWith":
      return replaceRoot(name, operand, names)
    case "$group":
      return group(operand, names)
    case "$sort":
      return sort(operand)
    case "$limit":
      return limit(operand)
    case "$skip":
      return skip(operand)
    case "$count":
      return count(operand)
    case "$unwind":
      return unwind(operand)
    case "$sortByCount":
      return sortByCount(operand, names)
    case "$bucket":
      return bucket(operand, names)
    case "$lookup":
      return lookup(operand, names)
    case "$unionWith":
      return unionWith(operand)
    case "$facet":
      return facet(operand, names)
    case "$sample":
      return sample(operand)
    default:
      throw unsupportedStages.has(name)
        ? badFilter(`the stage ${name} is not supported`, name)
        : badFilter(`Unrecognized pipeline stage name: '${name}'`, name)
  }
}

const compileStages = (pipeline: unknown, names: Names = new Set()): ReadonlyArray<Stage> => {
  if (!isArray(pipeline)) throw badFilter("a pipeline is an array of stages")
  if (pipeline.length > maxStages) throw badFilter(`a pipeline has at most ${maxStages} stages`)
  return pipeline.map((stage): Stage => {
    const [name, ...others] = isFields(stage) ? Object.keys(stage) : []
    if (!isFields(stage) || name === undefined || others.length > 0) {
      throw badFilter("A pipeline stage specification object must contain exactly one field")
    }
    return { name, operand: stage[name], run: compileRun(name, stage[name], names) }
  })
}

const runStages = (stages: ReadonlyArray<Stage>, documents: Documents, surroundings: Surroundings): Documents =>
  stages.reduce((made, { run }) => run(made, surroundings), documents)

/** Runs `f`, and lets what is wrong in it be the fault of the pipeline. */
const asPipeline = <A>(f: () => A): A => {
  try {
    return f()
  } catch (error) {
    throw badPipeline(error)
  }
}

/** The stages of a pipeline. Throws when one of them is none, or holds what it cannot. */
export const compilePipeline = (pipeline: unknown): ReadonlyArray<Stage> =>
  asPipeline(() => compileStages(exact(pipeline)))

/** What comes out of the stages for the documents that go in. */
export function* runPipeline(
  stages: ReadonlyArray<Stage>,
  documents: Documents,
  surroundings: Surroundings
): Work<Array<Fields>> {
  try {
    return yield* collected(runStages(stages, documents, surroundings))
  } catch (error) {
    throw badPipeline(error)
  }
}

/**
 * What a pipeline begins with as a selection, which an index may answer, and the stages that are left: `$match`, then `$sort`,
 * `$skip` and `$limit`, as far as they come in this order.
 */
export const splitSelection = (
  stages: ReadonlyArray<Stage>
): { readonly selection: Selection; readonly stages: ReadonlyArray<Stage> } => {
  const filters: Array<unknown> = []
  let [sort, skip, limit]: [unknown, unknown, unknown] = [undefined, undefined, undefined]
  let taken = 0
  for (const { name, operand } of stages) {
    if (name === "$match" && sort === undefined && skip === undefined) filters.push(operand)
    else if (name === "$sort" && sort === undefined && skip === undefined) sort = operand
    else if (name === "$skip" && skip === undefined) skip = operand
    else if (name === "$limit") limit = operand
    else break
    taken++
    if (limit !== undefined) break
  }
  const filter = filters.length === 0 ? {} : filters.length === 1 ? filters[0] : { $and: filters }
  const selection = asPipeline(() =>
    parseSelection(filter, {
      sort: isFields(sort) ? sort : undefined,
      skip: wholeNumber(skip),
      limit: wholeNumber(limit)
    })
  )
  return { selection, stages: stages.slice(taken) }
}
