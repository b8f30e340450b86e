/**
 * Schemas of collections in BSON's dialect of JSON Schema (server section 5.8): what a document has to be like when a user
 * writes it. Compiled once, so that a keyword that is not supported is told before the first write.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import { Binary } from "bson"
import type * as Schema from "effect/Schema"
import { toNumber } from "../engine/bsonNumber.ts"
import { compare } from "../engine/bsonOrder.ts"
import { exact, type Fields, isArray, isFields, isNumeric, typeNames, typeNumber } from "../engine/bsonValue.ts"
import { compileRegex } from "../engine/regex.ts"
import * as Expression from "./ruleExpression.ts"

/** A keyword that cannot be enforced, with the path to it. */
export interface Unsupported {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

/** A schema, ready to be asked. */
export interface Compiled {
  readonly unsupported: ReadonlyArray<Unsupported>
  /**
   * What is wrong with a document, without any value of it; nothing when it is as it should be. The scope is that of the
   * write, for the expressions of `validate`.
   */
  readonly check: (document: Fields, before: Fields | undefined, scope: Expression.DocumentScope) => string | undefined
}

interface Surroundings {
  readonly scope: Expression.DocumentScope
}

/** Looks at a value, as it was before too, and tells what is wrong. */
type Check = (value: unknown, before: unknown, at: string, surroundings: Surroundings) => string | undefined

type Path = ReadonlyArray<string | number>
type Json = { readonly [keyword: string]: Schema.Json }

const isObject = (value: Schema.Json | undefined): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const typeNumbers: { readonly [name: string]: ReadonlyArray<number> } = {
  ...typeNames,
  float: [1],
  objectid: [7],
  boolean: [8],
  integer: [16, 18],
  mixed: []
}

const isOfType = (name: string): ((value: unknown) => boolean) | undefined => {
  if (name === "uuid") return (value) => value instanceof Binary && value.sub_type === Binary.SUBTYPE_UUID
  const numbers = Object.hasOwn(typeNumbers, name) ? typeNumbers[name] : undefined
  return numbers && ((value) => numbers.length === 0 || numbers.includes(typeNumber(value)))
}

const annotations = new Set(["title", "description", "$schema", "id", "$id", "default", "examples", "relationship"])

const place = (at: string): string => at === "" ? "the document" : `"${at}"`

const below = (at: string, name: string | number): string => at === "" ? String(name) : `${at}.${name}`

const compiler = () => {
  const unsupported: Array<Unsupported> = []
  const refuse = (path: Path, message: string): Check => {
    unsupported.push({ path, message })
    return () => undefined
  }

  const number = (value: Schema.Json, path: Path): number => {
    const decoded = exact(Ejson.decodeUnsafe(value, { numbers: "exact" }))
    if (isNumeric(decoded)) return toNumber(decoded)
    refuse(path, "Expected a number")
    return 0
  }

  const types = (value: Schema.Json, path: Path): Check => {
    const names = Array.isArray(value) ? value : [value]
    const tests = names.map((name) => isOfType(String(name)))
    const unknown = tests.indexOf(undefined)
    if (unknown !== -1) return refuse(path, `There is no type "${String(names[unknown])}"`)
    return (found, _, at) =>
      tests.some((test) => test?.(found) === true) ? undefined : `${place(at)} has to be of type ${names.join(" or ")}`
  }

  const pattern = (value: Schema.Json, path: Path): ((text: string) => boolean) | undefined => {
    const source = String(value)
    try {
      return compileRegex(source, "").test
    } catch {
      // Only an engine that tries again and again knows looking ahead and back: how long that takes is up to the schema's author.
      try {
        const regex = new RegExp(source, "u")
        return (text) => regex.test(text)
      } catch {
        refuse(path, "This is no regular expression")
        return undefined
      }
    }
  }

  /** Members of an object that neither `properties` nor `patternProperties` speak of. */
  const members = (schema: Json, path: Path): Check | undefined => {
    const { additionalProperties, patternProperties, properties } = schema
    if (properties === undefined && patternProperties === undefined && additionalProperties === undefined) {
      return undefined
    }
    const named = new Map(
      Object.entries(isObject(properties) ? properties : {}).map((
        [name, inner]
      ) => [name, check(inner, [...path, "properties", name])])
    )
    const patterned = Object.entries(isObject(patternProperties) ? patternProperties : {}).map(([source, inner]) => {
      const at = [...path, "patternProperties", source]
      return [pattern(source, at), check(inner, at)] as const
    })
    const others = isObject(additionalProperties)
      ? check(additionalProperties, [...path, "additionalProperties"])
      : undefined
    return (value, before, at, surroundings) => {
      if (!isFields(value)) return undefined
      for (const name of Object.keys(value)) {
        const checks = [
          ...(named.has(name) ? [named.get(name)!] : []),
          ...patterned.flatMap(([matches, inner]) => matches?.(name) === true ? [inner] : [])
        ]
        if (checks.length === 0) {
          if (additionalProperties === false && !(at === "" && name === "_id")) {
            return `${place(below(at, name))} is no field of the schema`
          }
          if (others !== undefined) checks.push(others)
        }
        const was = isFields(before) && Object.hasOwn(before, name) ? before[name] : undefined
        for (const inner of checks) {
          const wrong = inner(value[name], was, below(at, name), surroundings)
          if (wrong !== undefined) return wrong
        }
      }
      return undefined
    }
  }

  const elements = (schema: Json, path: Path): Check | undefined => {
    const { additionalItems, items } = schema
    if (items === undefined) return undefined
    const at = [...path, "items"]
    const single = Array.isArray(items) ? undefined : check(items, at)
    const tuple = Array.isArray(items) ? items.map((inner, index) => check(inner, [...at, index])) : []
    const others = isObject(additionalItems) ? check(additionalItems, [...path, "additionalItems"]) : undefined
    return (value, before, at, surroundings) => {
      if (!isArray(value)) return undefined
      for (const [index, item] of value.entries()) {
        const inner = single ?? tuple[index] ?? others
        if (inner === undefined && additionalItems === false) {
          return `${place(at)} may have at most ${tuple.length} elements`
        }
        const wrong = inner?.(item, isArray(before) ? before[index] : undefined, below(at, index), surroundings)
        if (wrong !== undefined) return wrong
      }
      return undefined
    }
  }

  const size = (
    limit: number,
    measure: (value: unknown) => number | undefined,
    least: boolean,
    what: string
  ): Check =>
  (value, _, at) => {
    const found = measure(value)
    return found === undefined || (least ? found >= limit : found <= limit)
      ? undefined
      : `${place(at)} has to have at ${least ? "least" : "most"} ${limit} ${what}`
  }

  const bound = (limit: number, exclusive: boolean, least: boolean): Check => (value, _, at) => {
    if (!isNumeric(value)) return undefined
    const found = toNumber(value)
    const holds = least
      ? found > limit || (!exclusive && found === limit)
      : found < limit || (!exclusive && found === limit)
    return holds
      ? undefined
      : `${place(at)} has to be ${least ? "greater" : "less"} than ${exclusive ? "" : "or equal to "}${limit}`
  }

  const lengthOf = (value: unknown) => typeof value === "string" ? [...value].length : undefined
  const countOf = (value: unknown) => isArray(value) ? value.length : undefined
  const fieldsOf = (value: unknown) => isFields(value) ? Object.keys(value).length : undefined

  const several = (value: Schema.Json, path: Path): ReadonlyArray<Check> =>
    Array.isArray(value)
      ? value.map((inner, index) => check(inner, [...path, index]))
      : [refuse(path, "Expected an array of schemas")]

  const keyword = (name: string, value: Schema.Json, schema: Json, path: Path): Check | undefined => {
    switch (name) {
      case "bsonType":
      case "type":
        return types(value, path)
      case "enum": {
        if (!Array.isArray(value)) return refuse(path, "Expected an array of values")
        const allowed = value.map((one) => exact(Ejson.decodeUnsafe(one, { numbers: "exact" })))
        return (found, _, at) =>
          allowed.some((one) => compare(one, found) === 0)
            ? undefined
            : `${place(at)} is none of the values of the schema's enum`
      }
      case "required": {
        if (!Array.isArray(value)) return refuse(path, "Expected an array of names")
        return (found, _, at) => {
          const missing = isFields(found) ? value.find((field) => !Object.hasOwn(found, String(field))) : undefined
          return missing === undefined ? undefined : `${place(below(at, String(missing)))} is required`
        }
      }
      case "minProperties":
        return size(number(value, path), fieldsOf, true, "fields")
      case "maxProperties":
        return size(number(value, path), fieldsOf, false, "fields")
      case "minItems":
        return size(number(value, path), countOf, true, "elements")
      case "maxItems":
        return size(number(value, path), countOf, false, "elements")
      case "minLength":
        return size(number(value, path), lengthOf, true, "characters")
      case "maxLength":
        return size(number(value, path), lengthOf, false, "characters")
      case "uniqueItems":
        return value !== true ? undefined : (found, _, at) => {
          const sorted = isArray(found) ? found.toSorted(compare) : []
          return sorted.some((one, index) => index > 0 && compare(sorted[index - 1], one) === 0)
            ? `${place(at)} has an element twice`
            : undefined
        }
      case "pattern": {
        const matches = pattern(value, path)
        return (found, _, at) =>
          typeof found !== "string" || matches?.(found) === true
            ? undefined
            : `${place(at)} does not match the pattern of the schema`
      }
      case "multipleOf": {
        const factor = number(value, path)
        return (found, _, at) =>
          !isNumeric(found) || toNumber(found) % factor === 0
            ? undefined
            : `${place(at)} has to be a multiple of ${factor}`
      }
      // Draft 4 has a flag beside the bound, later drafts a bound of its own.
      case "minimum":
        return bound(number(value, path), schema["exclusiveMinimum"] === true, true)
      case "maximum":
        return bound(number(value, path), schema["exclusiveMaximum"] === true, false)
      case "exclusiveMinimum":
        return typeof value === "boolean" ? undefined : bound(number(value, path), true, true)
      case "exclusiveMaximum":
        return typeof value === "boolean" ? undefined : bound(number(value, path), true, false)
      case "dependencies": {
        const all = Object.entries(isObject(value) ? value : {}).map(([field, needed]) =>
          [
            field,
            Array.isArray(needed)
              ? keyword("required", needed, schema, [...path, field])
              : check(needed, [...path, field])
          ] as const
        )
        return (found, before, at, surroundings) => {
          if (!isFields(found)) return undefined
          for (const [field, inner] of all) {
            const wrong = Object.hasOwn(found, field) ? inner?.(found, before, at, surroundings) : undefined
            if (wrong !== undefined) return wrong
          }
          return undefined
        }
      }
      case "allOf": {
        const all = several(value, path)
        return (...found) => firstOf(all, found)
      }
      case "anyOf": {
        const all = several(value, path)
        return (...found) => all.some((inner) => inner(...found) === undefined) ? undefined : all[0]?.(...found)
      }
      case "oneOf": {
        const all = several(value, path)
        return (...found) =>
          all.filter((inner) => inner(...found) === undefined).length === 1
            ? undefined
            : `${place(found[2])} has to be exactly one of what the schema offers`
      }
      case "not": {
        const inner = check(value, path)
        return (...found) =>
          inner(...found) === undefined ? `${place(found[2])} is what the schema rules out` : undefined
      }
      case "validate": {
        const expression = Expression.compile(value, "document")
        for (const { message, path: inner } of expression.unsupported) refuse([...path, ...inner], message)
        return (found, before, at, { scope }) =>
          expression.evaluate({ ...scope, this: found, prev: before })
            ? undefined
            : `${place(at)} is not valid by the schema's validate`
      }
      // Looked at with their neighbours.
      case "properties":
      case "patternProperties":
      case "additionalProperties":
      case "items":
      case "additionalItems":
        return undefined
      default:
        return annotations.has(name) ? undefined : refuse(path, `The keyword "${name}" of schemas is not supported`)
    }
  }

  const check = (schema: Schema.Json, path: Path): Check => {
    if (!isObject(schema)) return refuse(path, "Expected a schema, which is an object")
    const checks = [
      ...Object.entries(schema).map(([name, value]) => keyword(name, value, schema, [...path, name])),
      members(schema, path),
      elements(schema, path)
    ].filter((inner) => inner !== undefined)
    return (...found) => firstOf(checks, found)
  }

  return { check, unsupported }
}

const firstOf = (checks: ReadonlyArray<Check>, found: Parameters<Check>): string | undefined => {
  for (const check of checks) {
    const wrong = check(...found)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** Compiles a schema. What is not supported is listed. */
export const compile = (schema: Schema.Json): Compiled => {
  const { check, unsupported } = compiler()
  const compiled = check(schema, [])
  return { unsupported, check: (document, before, scope) => compiled(document, before, "", { scope }) }
}
