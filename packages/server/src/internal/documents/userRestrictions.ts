/**
 * What users may not say to the database, whatever their role (server section 4.5): operators that run code, that take as
 * long as they like, or that look into other collections.
 */
import { BSONRegExp } from "bson"
import { isArray, isFields } from "../engine/bsonValue.ts"

const queryOperators = new Set([
  "$expr",
  "$jsonSchema",
  "$regex",
  "$text",
  "$where",
  "$geoIntersects",
  "$geoWithin",
  "$near",
  "$nearSphere",
  "$bitsAllClear",
  "$bitsAllSet",
  "$bitsAnyClear",
  "$bitsAnySet"
])

const stages = new Set([
  "$collStats",
  "$facet",
  "$geoNear",
  "$graphLookup",
  "$indexStats",
  "$lookup",
  "$merge",
  "$out",
  "$unionWith"
])

const pipelineOperators = new Set(["$accumulator", "$function", "$setIsSubset"])

const find = (
  value: unknown,
  isRefused: (name: string) => boolean,
  regularExpressions: boolean
): string | undefined => {
  // A regular expression as a value is `$regex` in other words.
  if (regularExpressions && (value instanceof BSONRegExp || value instanceof RegExp)) return "$regex"
  if (isArray(value)) {
    for (const item of value) {
      const found = find(item, isRefused, regularExpressions)
      if (found !== undefined) return found
    }
    return undefined
  }
  if (!isFields(value)) return undefined
  for (const name of Object.keys(value)) {
    if (isRefused(name)) return name
    const found = find(value[name], isRefused, regularExpressions)
    if (found !== undefined) return found
  }
  return undefined
}

/** The first operator of a filter that users may not use. */
export const ofFilter = (filter: unknown): string | undefined => find(filter, (name) => queryOperators.has(name), true)

/** The first operator of an update that users may not use: `$pull` takes conditions, and so may hold one. */
export const ofUpdate = (update: unknown): string | undefined =>
  isFields(update) ? ofFilter(update["$pull"]) : undefined

/** The first stage or operator of a pipeline that users may not use. */
export const ofPipeline = (pipeline: ReadonlyArray<unknown>): string | undefined => {
  for (const stage of pipeline) {
    if (!isFields(stage)) continue
    const refused = Object.keys(stage).find((name) => stages.has(name)) ?? ofFilter(stage["$match"]) ??
      find(stage, (name) => pipelineOperators.has(name), false)
    if (refused !== undefined) return refused
  }
  return undefined
}
