/**
 * Data sources of an app: the MongoDB services that clients and functions name, and the rules on their collections
 * (server sections 1.5 and 5), in our own spelling.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { DatabaseError } from "./DatabaseError.ts"
import * as DocumentSchema from "./internal/documents/documentSchema.ts"
import * as Expression from "./internal/documents/ruleExpression.ts"
import { compileStoredFields } from "./internal/engine/projection.ts"
import { compileFilter, exactFilter } from "./internal/engine/query.ts"

const defaultTo = <A>(value: A): Effect.Effect<A> => Effect.succeed(value)

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What a role may do with one field and all below it; what is left out is not granted. */
export interface FieldRule {
  /** An expression; `%%this` is the value of the field. */
  readonly read?: Schema.Json
  /** An expression; whoever may write may read. `%%this` is the value after, `%%prev` the value before. */
  readonly write?: Schema.Json
  /** Rules of the fields of an embedded document. They count where the field itself is not granted. */
  readonly fields?: { readonly [field: string]: FieldRule }
}

/**
 * What a group of users may do with documents. All expressions see the document as `%%root`, as it is, or as it becomes
 * when it is written, and as `%%prevRoot` as it was. What is left out is not granted.
 */
export interface Role {
  readonly name: string
  /** Who has the role, on which documents; `{}` is everybody. The first role that applies is the one that counts. */
  readonly applyWhen: Schema.Json
  /** A gate before everything else: without `read` or `write` of it nothing can be read, without `write` nothing written. */
  readonly documentFilters?: { readonly read?: Schema.Json; readonly write?: Schema.Json }
  /** Reading of whole documents. Given, it wins over `fields`, also when it says no. */
  readonly read?: Schema.Json
  /** Writing of whole documents, which includes reading. Given, it wins over `fields`, also when it says no. */
  readonly write?: Schema.Json
  /** Inserting, for which `write` has to be granted too. */
  readonly insert?: Schema.Json
  /** Deleting, for which `write` of all fields has to be granted too. */
  readonly delete?: Schema.Json
  /** Atlas Search, which this server does not have. */
  readonly search?: Schema.Json
  readonly fields?: { readonly [field: string]: FieldRule }
  /** For every field that is not among `fields`. */
  readonly additionalFields?: { readonly read?: Schema.Json; readonly write?: Schema.Json }
}

/** Narrows what its users see and change, before any role is looked at. All filters that apply count together. */
export interface RuleFilter {
  readonly name: string
  /** An expression that speaks of no document; `{}` is everybody. */
  readonly applyWhen: Schema.Json
  /** A filter in MongoDB's query language; expansions such as `"%%user.id"` stand for values. */
  readonly query: { readonly [key: string]: Schema.Json }
  /** The fields to show (all 1) or to hide (all 0). */
  readonly projection: { readonly [path: string]: Schema.Json }
}

/** Roles and filters. */
export interface Rules {
  readonly roles: ReadonlyArray<Role>
  readonly filters: ReadonlyArray<RuleFilter>
}

/** The rules of one collection. Without a role the default rule of its data source counts. */
export interface CollectionRules extends Rules {
  readonly database: string
  readonly collection: string
  /** A schema in BSON's dialect of JSON Schema. */
  readonly schema?: Schema.Json
}

/** A MongoDB service. */
export interface DataSource {
  /** What clients and functions call it. */
  readonly name: string
  readonly collections: ReadonlyArray<CollectionRules>
  /** For every collection that has no role of its own. Without one, those are closed to users. */
  readonly defaultRule?: Rules
}

// -----------------------------------------------------------------------------
// Options
// -----------------------------------------------------------------------------

/** A {@link RuleFilter} that shows all fields, or lets all documents be reached, unless told otherwise. */
export type RuleFilterOptions = Partial<RuleFilter> & Pick<RuleFilter, "name" | "applyWhen">

/** {@link Rules} with everything optional. */
export interface RulesOptions {
  readonly roles?: ReadonlyArray<Role>
  readonly filters?: ReadonlyArray<RuleFilterOptions>
}

/** {@link CollectionRules} with everything optional but the namespace. */
export interface CollectionRulesOptions extends RulesOptions {
  readonly database: string
  readonly collection: string
  readonly schema?: Schema.Json
}

/** A {@link DataSource} with everything optional; the name is `mongodb-atlas` by default. */
export interface DataSourceOptions {
  readonly name?: string
  readonly collections?: ReadonlyArray<CollectionRulesOptions>
  readonly defaultRule?: RulesOptions
}

// -----------------------------------------------------------------------------
// Schemas
// -----------------------------------------------------------------------------

const expression = (subject: Expression.Subject) =>
  Schema.Json.check(
    Schema.makeFilter((found) => Expression.compile(found, subject).unsupported.map(({ message }) => message))
  )

const DocumentExpression = expression("document")

const Name = Schema.NonEmptyString.check(Schema.isMaxLength(100))

const Permissions = {
  read: Schema.optionalKey(DocumentExpression),
  write: Schema.optionalKey(DocumentExpression)
}

const FieldName = Schema.String.check(
  Schema.makeFilter((name) =>
    name !== "" && !name.includes(".") && !name.startsWith("$")
      ? undefined
      : "Expected the name of one field; rules of an embedded field stand in the \"fields\" of the outer one"
  )
)

const FieldRule: Schema.Codec<FieldRule> = Schema.Struct({
  ...Permissions,
  fields: Schema.optionalKey(Schema.Record(FieldName, Schema.suspend((): Schema.Codec<FieldRule> => FieldRule)))
})

const RoleFields = Schema.Struct({
  name: Name,
  applyWhen: DocumentExpression,
  documentFilters: Schema.optionalKey(Schema.Struct(Permissions)),
  ...Permissions,
  insert: Schema.optionalKey(DocumentExpression),
  delete: Schema.optionalKey(DocumentExpression),
  search: Schema.optionalKey(DocumentExpression),
  fields: Schema.optionalKey(Schema.Record(FieldName, FieldRule)),
  additionalFields: Schema.optionalKey(Schema.Struct(Permissions))
})

const messageOf = (f: () => unknown): ReadonlyArray<string> => {
  try {
    f()
    return []
  } catch (error) {
    if (error instanceof DatabaseError) return [error.message]
    throw error
  }
}

const Query = Schema.Record(Schema.String, Schema.Json).check(
  Schema.makeFilter((query) => {
    const { constant, unsupported } = Expression.compileValue(query)
    return [
      ...unsupported.map(({ message }) => message),
      // One with expansions in it is seen to be right or wrong when they are known.
      ...constant === undefined ? [] : messageOf(() => compileFilter(exactFilter(constant)))
    ]
  })
)

const Projection = Schema.Record(Schema.String, Schema.Json).check(
  Schema.makeFilter((projection) => messageOf(() => compileStoredFields(projection)))
)

const RuleFilterFields = Schema.Struct({
  name: Name,
  applyWhen: expression("request"),
  query: Query.pipe(Schema.withConstructorDefault(defaultTo({}))),
  projection: Projection.pipe(Schema.withConstructorDefault(defaultTo({})))
})

const unique = (items: ReadonlyArray<{ readonly name: string }>): ReadonlyArray<Schema.FilterIssue> => {
  const seen = new Set<string>()
  return items.flatMap(({ name }, index) => {
    if (!seen.has(name)) {
      seen.add(name)
      return []
    }
    return [{ path: [index, "name"], issue: `"${name}" is there twice: names are unique` }]
  })
}

const RulesFields = {
  roles: Schema.Array(RoleFields).check(Schema.makeFilter(unique)).pipe(
    Schema.withConstructorDefault(defaultTo([]))
  ),
  filters: Schema.Array(RuleFilterFields).check(Schema.makeFilter(unique)).pipe(
    Schema.withConstructorDefault(defaultTo([]))
  )
}

const CollectionFields = Schema.Struct({
  database: Schema.NonEmptyString,
  collection: Schema.NonEmptyString,
  ...RulesFields,
  schema: Schema.optionalKey(
    Schema.Json.check(
      Schema.makeFilter((schema) => DocumentSchema.compile(schema).unsupported.map(({ message }) => message))
    )
  )
})

const ServiceName = Schema.String.check(
  Schema.isPattern(/^[^\s/]{1,64}$/, { expected: "the name of a service, of at most 64 characters" })
)

/** The schema of a {@link DataSource}, as `AppDefinition` has it. */
export const Fields = Schema.Struct({
  name: ServiceName.pipe(Schema.withConstructorDefault(defaultTo("mongodb-atlas"))),
  collections: Schema.Array(CollectionFields).check(
    Schema.makeFilter((collections) => {
      const seen = new Set<string>()
      return collections.flatMap(({ collection, database }, index) => {
        const name = `${database}\0${collection}`
        if (!seen.has(name)) {
          seen.add(name)
          return []
        }
        return [{ path: [index], issue: `The collection ${database}.${collection} is there twice` }]
      })
    })
  ).pipe(Schema.withConstructorDefault(defaultTo([]))),
  defaultRule: Schema.optionalKey(Schema.Struct(RulesFields))
})
