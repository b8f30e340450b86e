/**
 * The rules of a collection, as access to it: which documents a user finds, what he sees of them, and which changes he may
 * make. Every operation and `watch` go through this, and through nothing else.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Access, Document, Filter, Namespace } from "../../Database.ts"
import type * as DataSource from "../../DataSource.ts"
import { type Fields, isFields } from "../engine/bsonValue.ts"
import { valueAt } from "../engine/documentPath.ts"
import { parseQuery } from "../engine/documentSearch.ts"
import { compileStoredFields } from "../engine/projection.ts"
import type * as DocumentSchema from "./documentSchema.ts"
import * as Role from "./role.ts"
import * as Expression from "./ruleExpression.ts"

/**
 * A rule asks a function of the app, whose answer is not there yet. Nothing was done: get the answer and try again
 * (`ruleFunctions`).
 */
export class Unanswered {
  readonly _tag = "Unanswered"
  readonly name: string
  readonly args: ReadonlyArray<unknown>
  constructor(name: string, args: ReadonlyArray<unknown>) {
    this.name = name
    this.args = args
  }
}

/** What access refuses with. */
export type Refusal = RealmError.DataError | Unanswered

/** What the projection of a filter shows. */
interface Projection {
  readonly project: (document: Fields) => Fields
  /** The fields that it names, as dotted paths. */
  readonly paths: ReadonlyArray<string>
}

/** The rules of a collection, compiled. */
export interface CompiledRules {
  readonly roles: ReadonlyArray<Role.Role>
  readonly filters: ReadonlyArray<{
    readonly applyWhen: Expression.Compiled
    readonly query: Expression.CompiledValue
    readonly projection: Projection | undefined
  }>
  /** What documents have to be like, if anything. */
  readonly schema: DocumentSchema.Compiled | undefined
  /** What may come out another way for another user. */
  readonly reads: { readonly user: boolean; readonly request: boolean; readonly functions: boolean }
}

// Wherever an expansion or a function stands in them, it stands there by its name.
const readsOf = ({ filters, roles }: DataSource.Rules): CompiledRules["reads"] => {
  const text = JSON.stringify([filters, roles])
  const functions = /[%$]function"/.test(text)
  // A function sees who asks.
  return { functions, user: functions || text.includes("%%user"), request: functions || text.includes("%%request") }
}

/** Compiles rules, which have been checked before. */
export const compile = (
  rules: DataSource.Rules,
  schema: DocumentSchema.Compiled | undefined
): CompiledRules => ({
  schema,
  reads: readsOf(rules),
  roles: rules.roles.map(Role.make),
  filters: rules.filters.map(({ applyWhen, projection, query }) => ({
    applyWhen: Expression.compile(applyWhen, "request"),
    query: Expression.compileValue(query),
    projection: compileProjection(projection)
  }))
})

const compileProjection = (projection: Filter): Projection | undefined => {
  // Access never leaves out an identifier.
  const { _id: _, ...fields } = projection
  if (Object.keys(fields).length === 0) return undefined
  const decoded = Ejson.decodeUnsafe(fields)
  return { project: compileStoredFields(decoded), paths: pathsOf(decoded) }
}

const pathsOf = (projection: unknown, prefix = ""): ReadonlyArray<string> =>
  isFields(projection)
    ? Object.keys(projection).flatMap((name) => pathsOf(projection[name], prefix === "" ? name : `${prefix}.${name}`))
    : [prefix]

// What no document is.
const nothing: Filter = { _id: { $in: [] } }

/** The query of every filter that applies. One that stands on something the user does not have lets nothing through. */
const scopeOf = (filters: CompiledRules["filters"], scope: Expression.Scope): Filter | undefined => {
  const queries = filters.flatMap(({ query }) => {
    const value = query.evaluate(scope)
    // It was an object before its expansions were replaced.
    return value === undefined ? [nothing] : Object.keys(value as Filter).length === 0 ? [] : [value as Filter]
  })
  return queries.length === 0 ? undefined : queries.length === 1 ? queries[0] : { $and: queries }
}

const verb = ({ after, before }: Role.Change): "insert" | "update" | "delete" =>
  before === undefined ? "insert" : after === undefined ? "delete" : "update"

/** Whether a projection shows the whole of what is at a path, whatever that is. */
const showsWhole = (path: ReadonlyArray<string>) => ({ paths, project }: Projection): boolean => {
  const sample = path.reduceRight<unknown>((value, name) => ({ [name]: value }), 1)
  const inside = `${path.join(".")}.`
  return valueAt(project(sample as Fields), path) !== undefined && !paths.some((named) => named.startsWith(inside))
}

/** The path without places in arrays and what follows them: an element may be anything, so the whole array has to be shown. */
const upToArray = (path: ReadonlyArray<string>): ReadonlyArray<string> => {
  const place = path.findIndex((segment, index) => index > 0 && /^(?:\$|\d+$)/.test(segment))
  return place === -1 ? path : path.slice(0, place)
}

/**
 * The access of one user in one operation. Fails with {@link Unanswered} when a filter asks a function.
 *
 * @param scope who asks; its `ask` throws {@link Unanswered} for what it does not know yet
 * @param touched the paths that the operation's update names
 */
export const make = (
  rules: CompiledRules,
  scope: Expression.Scope,
  touched: ReadonlyArray<ReadonlyArray<string>> = []
): Result.Result<Access<Refusal>, Unanswered> => asked(() => access(rules, scope, touched))

/**
 * The access of one user who watches, for as long as the rules see the same user in him. What a function answers may be
 * another tomorrow, so filters that ask one are judged document by document, as roles are.
 */
export const watching = (rules: CompiledRules, scope: Expression.Scope): Access<Refusal> =>
  rules.filters.every(({ applyWhen }) => applyWhen.functions.size === 0) ? access(rules, scope, []) : {
    see: (document, now) =>
      Result.flatMap(
        make(rules, scope),
        (access) =>
          access.scope !== undefined && !parseQuery(access.scope).predicate(document, now)
            ? Result.succeed(Option.none())
            : access.see?.(document, now) ?? Result.succeed(Option.some(document))
      )
  }

const access = (
  rules: CompiledRules,
  scope: Expression.Scope,
  touched: ReadonlyArray<ReadonlyArray<string>>
): Access<Refusal> => {
  // What no document can change is judged once. A function is asked for each document, as its arguments may differ.
  const roles: Array<{ readonly role: Role.Role; readonly applies: (scope: Expression.DocumentScope) => boolean }> = []
  for (const role of rules.roles) {
    const { applyWhen } = role
    if (Expression.readsDocument(applyWhen) || applyWhen.functions.size > 0) {
      roles.push({ role, applies: applyWhen.evaluate })
      continue
    }
    if (!applyWhen.evaluate(scope)) continue
    roles.push({ role, applies: () => true })
    break
  }
  const filters = rules.filters.filter(({ applyWhen }) => applyWhen.evaluate(scope))
  const projections = filters.flatMap(({ projection }) => projection === undefined ? [] : [projection])
  const [first] = roles
  const showsAll = first !== undefined && first.role.showsAll && roles.length === 1 &&
    !Expression.readsDocument(first.role.applyWhen) && first.role.applyWhen.functions.size === 0 &&
    projections.length === 0

  const roleOf = (own: Expression.DocumentScope): Role.Role | undefined =>
    roles.find(({ applies }) => applies(own))?.role

  const see = (document: Document): Option.Option<Document> => {
    const own = { ...scope, root: document, prevRoot: document }
    const seen = roleOf(own)?.see(own, document)
    return seen === undefined
      ? Option.none()
      : Option.some(projections.reduce((shown, { project }) => project(shown), seen))
  }

  const permits = (change: Role.Change): boolean => {
    const { after, before } = change
    const own = { ...scope, root: after ?? before, prevRoot: before }
    const role = roleOf(own)
    if (role?.permits(own, change) !== true) return false
    if (before === undefined || after === undefined) return true
    // The role on the document as it was has a say too, or one could write oneself into another.
    const former = roleOf({ ...own, root: before })
    return former === role || former?.permits(own, change) === true
  }

  const valid = ({ after, before }: Role.Change): Result.Result<void, Refusal> => {
    if (rules.schema === undefined || after === undefined) return Result.void
    const { check } = rules.schema
    return Result.flatMap(
      asked(() => {
        const wrong = check(after, before, { ...scope, root: after, prevRoot: before })
        // Words about a field are for those who see it.
        return wrong === undefined || showsAll || Option.getOrUndefined(see(after)) === after ? wrong : misfit
      }),
      (wrong) => wrong === undefined ? Result.void : Result.fail(RealmError.make("SchemaValidationFailedWrite", wrong))
    )
  }

  const reaches = (document: Fields): boolean => {
    const own = { ...scope, root: document, prevRoot: document }
    const role = roleOf(own)
    return touched.every((path) =>
      role?.reaches(own, document, path) === true &&
      (path[0] === "_id" || projections.every(showsWhole(upToArray(path))))
    )
  }

  return {
    scope: scopeOf(filters, scope),
    reach: showsAll || touched.length === 0
      ? undefined
      : (document) =>
        Result.flatMap(asked(() => reaches(document)), (reached) => reached ? Result.void : denied("update")),
    see: showsAll ? undefined : (document) => asked(() => see(document)),
    shows: (path) => {
      const [field = ""] = path.split(".")
      return roles.every(({ role }) => role.shows(field)) && projections.every(showsWhole([field]))
    },
    judge: ({ after, before }) => {
      const change = { before: fieldsOf(before), after: fieldsOf(after) }
      return Result.flatMap(
        asked(() => permits(change)),
        (permitted) => permitted ? valid(change) : denied(verb(change))
      )
    }
  }
}

const misfit = "the document does not fit the schema of its collection"

const denied = (what: string): Result.Result<never, RealmError.DataError> => Result.fail(notPermitted(what))

/** What a role refuses with. */
export const notPermitted = (what: string): RealmError.DataError =>
  RealmError.make("SchemaValidationFailedWrite", `${what} not permitted`)

const fieldsOf = (document: Option.Option<Document>): Fields | undefined =>
  Option.isSome(document) ? document.value : undefined

/** What `f` answers, or the function that it asks. */
const asked = <A>(f: () => A): Result.Result<A, Unanswered> => {
  try {
    return Result.succeed(f())
  } catch (error) {
    if (error instanceof Unanswered) return Result.fail(error)
    throw error
  }
}

/** What is answered about a collection that has no rules. */
export const noRule = ({ collection, database }: Namespace): RealmError.DataError =>
  RealmError.make("NoMatchingRuleFound", `no rule exists for namespace '${database}.${collection}'`)
