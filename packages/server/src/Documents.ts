/**
 * The documents of an app, as its users and functions reach them: the MongoDB service of each data source, with the rules of
 * the app in force (protocol section 9, server section 5).
 *
 * **Rules.** Every operation of a user goes through the roles and filters of the collection, within the operation: what it
 * finds is what the user may read, field by field; sorts, projections and pipelines see nothing else; and a write that is
 * not permitted changes nothing. Documents that a user may not read are not there for him: no filter finds them, and no
 * count, error or update tells of them. A collection without a role, in an app without a default rule, is closed.
 *
 * **The system** (the server, and functions that run as it) has no rules.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { AppDefinition } from "./AppDefinition.ts"
import { Database, type Document, type Namespace, type ResumeToken } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import type * as DataSource from "./DataSource.ts"
import type { Caller, Functions } from "./Functions.ts"
import * as DocumentAccess from "./internal/documents/documentAccess.ts"
import * as Conflict from "./internal/documents/documentConflict.ts"
import * as Operations from "./internal/documents/documentOperations.ts"
import * as DocumentSchema from "./internal/documents/documentSchema.ts"
import * as DocumentWatch from "./internal/documents/documentWatch.ts"
import * as RuleFunctions from "./internal/documents/ruleFunctions.ts"
import * as UserRestrictions from "./internal/documents/userRestrictions.ts"
import * as WatchAccess from "./internal/documents/watchAccess.ts"
import { requestDocument, userDocument, valuesOf } from "./internal/functions/callScope.ts"
import * as Executor from "./internal/functions/executor.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** One operation on one collection. */
export interface Call {
  /** The name of the data source. */
  readonly service: string
  /** `find`, `insertOne` and so on, as clients call it. */
  readonly operation: string
  /** BSON values, as they travel: one document with `database`, `collection` and what the operation takes. */
  readonly args: ReadonlyArray<unknown>
  /** Whose rules are in force: as whom the caller runs (`runAs`), or else its user; without one it is the system. */
  readonly caller: Caller
  /** The rules are not in force, whoever calls. */
  readonly asSystem?: boolean
}

/** A watch on one collection. */
export interface WatchCall {
  /** The name of the data source. */
  readonly service: string
  /** BSON values, as they travel: one document with `database`, `collection` and what is to be watched. */
  readonly args: ReadonlyArray<unknown>
  /**
   * Whoever watches, as he is now: asked again before anything is told, so that changes are seen by the rules that hold for
   * him then. Fails when he may watch no longer, and so does the watch.
   */
  readonly caller: Effect.Effect<Caller, RealmError.SessionError>
}

/** What somebody is told who watches: events as they travel, and places that a later watch may go on after. */
export type Watched =
  | { readonly _tag: "Changed"; readonly event: Document }
  | { readonly _tag: "Position"; readonly resumeToken: ResumeToken }

/** What an operation fails with; all of it is for whoever called. */
export type CallError = RealmError.DataError | RealmError.RequestError | RealmError.ServiceError

/** What a watch fails with, before it is open and after. */
export type WatchError = CallError | RealmError.SessionError

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * Serves the data sources of one app.
 *
 * ```ts
 * import { AppDefinition, Database, Documents, Functions } from "@effect-realm/server"
 * import { Effect, Layer, Option } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   dataSources: [{
 *     collections: [{
 *       database: "shop",
 *       collection: "orders",
 *       roles: [{ name: "owner", applyWhen: { owner: "%%user.id" }, read: true, write: true, insert: true }]
 *     }]
 *   }]
 * })
 *
 * const user = (id: string): Functions.Caller => ({
 *   origin: "client",
 *   user: Option.some({ id, type: "normal", data: {}, customData: {}, identities: [] }),
 *   request: {}
 * })
 * const orders = { database: "shop", collection: "orders" }
 *
 * const program = Effect.gen(function*() {
 *   const { call } = yield* Documents.Documents
 *   const order = { _id: 1, owner: "ann" }
 *   yield* call({
 *     service: "mongodb-atlas",
 *     operation: "insertOne",
 *     args: [{ ...orders, document: order }],
 *     caller: user("ann")
 *   })
 *   const find = (id: string) =>
 *     call({ service: "mongodb-atlas", operation: "find", args: [{ ...orders, query: { _id: 1 } }], caller: user(id) })
 *   return [yield* find("ann"), yield* find("bob")].map((found) => Array.isArray(found) ? found.length : 0)
 * })
 *
 * const layer = Layer.mergeAll(
 *   Layer.provide(Documents.layer(app), Database.layerMemory),
 *   Functions.layer(app)
 * )
 * await Effect.runPromise(Effect.provide(program, layer)) // => [1, 0]
 * ```
 */
export class Documents extends Context.Service<Documents, {
  /**
   * Does one operation and answers what travels: BSON values with exact numbers.
   *
   * Fails with `ServiceError` (`ServiceNotFound`, `ServiceCommandNotFound`), `RequestError` (`InvalidParameter`: an argument is
   * missing or of another type) or `DataError`: `NoMatchingRuleFound` for a collection without rules,
   * `SchemaValidationFailedWrite` for what a role does not permit, `ReadSizeLimitExceeded`, and `MongoDBError` for all that the
   * database refuses. A write that fails has changed nothing, but for documents before the one that failed in `insertMany`.
   */
  readonly call: (call: Call) => Effect.Effect<unknown, CallError, Functions>
  /**
   * Watches a collection (protocol section 9.4). When it succeeds the watch is open, and no later change is missed; a position
   * comes first. A user is told what he sees of a change: what `find` would have answered before and after it differs by
   * that. `filter` looks at nothing but what he is told.
   *
   * Fails as `call` does, and with `DataError`, reason `InvalidResumeToken` for a token of another collection and
   * `ChangeStreamHistoryLost` for one whose changes are kept no longer, or for a reader who is too slow.
   */
  readonly watch: (
    call: WatchCall
  ) => Effect.Effect<Stream.Stream<Watched, WatchError, Functions>, WatchError, Functions | Scope.Scope>
}>()("@effect-realm/server/Documents") {}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

interface Rules extends DocumentAccess.CompiledRules {
  readonly sight: WatchAccess.Sight
}

interface Source {
  /** The rules of a namespace; none when it has none. */
  readonly rules: (namespace: Namespace) => Rules | undefined
  /** Namespaces by the title of their schema, by which some clients name them. */
  readonly titles: ReadonlyMap<string, Namespace>
}

const keyOf = ({ collection, database }: Namespace): string => `${database}\0${collection}`

const compileSource = ({ collections, defaultRule }: DataSource.DataSource): Source => {
  const compile = (rules: DataSource.Rules | undefined, schema?: Schema.Json): Rules | undefined => {
    if (rules === undefined || rules.roles.length === 0) return undefined
    const compiled = DocumentAccess.compile(rules, schema === undefined ? undefined : DocumentSchema.compile(schema))
    return { ...compiled, sight: WatchAccess.make(compiled) }
  }
  const others = compile(defaultRule)
  // A collection without a role has no rules of its own, filters or not; its schema holds all the same.
  const own = new Map(
    collections.map((rules) => [keyOf(rules), compile(rules.roles.length > 0 ? rules : defaultRule, rules.schema)])
  )
  return {
    rules: (namespace) => {
      const key = keyOf(namespace)
      return own.has(key) ? own.get(key) : others
    },
    titles: new Map(
      collections.flatMap(({ collection, database, schema }) => {
        const title = typeof schema === "object" && schema !== null && "title" in schema ? schema.title : undefined
        return typeof title === "string" ? [[title, { database, collection }] as const] : []
      })
    )
  }
}

const invalid = (message: string): RealmError.RequestError => RealmError.make("InvalidParameter", message)

/** Where the server keeps its own: nobody's documents. */
const isOwn = ({ database }: Namespace): boolean => database.startsWith("__effect_realm")

const checkNamespace = (namespace: Namespace): CallError | undefined => {
  const { collection, database } = namespace
  if (database === "" || collection === "") return invalid("\"database\" and \"collection\" have to be names")
  const isName = !/[\0/\\. "$]/.test(database) && !/[\0$]/.test(collection) && !/^\.|\.$|^system\./.test(collection)
  if (!isName || Buffer.byteLength(`${database}.${collection}`) > 255) {
    return RealmError.make("MongoDBError", `Invalid namespace specified '${database}.${collection}'`)
  }
  return isOwn(namespace) ? DocumentAccess.noRule(namespace) : undefined
}

const notAllowed = (operator: string): RealmError.DataError =>
  RealmError.make("MongoDBError", `${operator} is not available to users: call a function that runs as the system`)

const restricted = ({ filters, stages, updates }: Operations.Prepared): RealmError.DataError | undefined => {
  const inPipeline = UserRestrictions.ofPipeline(stages)
  if (inPipeline !== undefined) return notAllowed(inPipeline)
  for (const filter of filters) {
    const operator = UserRestrictions.ofFilter(filter)
    if (operator !== undefined) return notAllowed(operator)
  }
  for (const update of updates) {
    const operator = UserRestrictions.ofUpdate(update)
    if (operator !== undefined) return notAllowed(operator)
  }
  return undefined
}

/** The paths that updates name. */
const touched = (updates: ReadonlyArray<{ readonly [name: string]: unknown }>): ReadonlyArray<ReadonlyArray<string>> =>
  updates.flatMap((update) =>
    Object.entries(update).flatMap(([name, operand]) => {
      if (!name.startsWith("$")) return [[name]]
      if (typeof operand !== "object" || operand === null) return []
      const targets = name === "$rename" ? Object.values(operand).filter((target) => typeof target === "string") : []
      return [...Object.keys(operand), ...targets].map((path) => path.split("."))
    })
  )

/** What the database refuses is the caller's to mend, but for troubles of its own. */
const wordsOf = (error: DatabaseError): Effect.Effect<never, RealmError.DataError> => {
  const { reason } = error
  switch (reason._tag) {
    case "Locked":
    case "Corrupt":
    case "Unavailable":
      return Effect.die(error)
    case "InvalidResumeToken":
    case "ChangeStreamHistoryLost":
      return Effect.fail(RealmError.make(reason._tag, error.message))
    case "DuplicateKey":
      // Without the key, which belongs to somebody's document.
      return Effect.fail(RealmError.make(
        "MongoDBError",
        `E11000 duplicate key error collection: ${reason.namespace} index: ${reason.index}`
      ))
    default:
      return Effect.fail(RealmError.make("MongoDBError", error.message))
  }
}

/** The documents of an app in the database. {@link layer} is what programs use. */
export const make = (app: AppDefinition): Effect.Effect<Documents["Service"], never, Database> =>
  Effect.map(Database, (database) => {
    const sources = new Map(app.dataSources.map((source) => [source.name, compileSource(source)]))
    const surroundings = {
      values: Object.fromEntries(valuesOf(app)),
      environment: { tag: app.environment.tag, values: app.environment.values }
    }

    /** As some clients have it, the title of a schema in the place of a namespace. */
    const named = (source: Source, argument: unknown): Effect.Effect<unknown, RealmError.RequestError> => {
      if (typeof argument !== "object" || argument === null || !("schema_name" in argument)) {
        return Effect.succeed(argument)
      }
      const namespace = source.titles.get(String(argument.schema_name))
      return namespace === undefined
        ? Effect.fail(invalid(
          `no matching collection found that maps to a table with title "${String(argument.schema_name)}"`
        ))
        : Effect.succeed({ ...argument, ...namespace })
    }

    const scopeOf = (caller: Caller) => ({
      ...surroundings,
      user: userDocument(Executor.inherited(caller)),
      request: requestDocument(caller.request)
    })

    const asUser = (caller: Caller, rules: Rules, prepared: Operations.Prepared) => {
      const { inserts, namespace, updates } = prepared
      const scope = scopeOf(caller)
      const paths = touched(updates)
      return RuleFunctions.settle(caller, (ask, goesOn) =>
        Effect.gen(function*() {
          const access = {
            ...yield* Effect.fromResult(DocumentAccess.make(rules, { ...scope, ask }, paths)),
            goesOn
          }
          const collection = database.collection(namespace, { numbers: "exact", access })
          return yield* Effect.catchTag(
            prepared.run(collection),
            "DatabaseError",
            (error) =>
              Effect.flatMap(
                Conflict.isHidden(collection, access, inserts, error),
                (hidden) => Effect.fail(hidden ? Conflict.refusal(inserts) : error)
              )
          )
        })).pipe(Effect.catchTag("DatabaseError", wordsOf))
    }

    const sourceOf = (service: string): Effect.Effect<Source, RealmError.ServiceError> => {
      const source = sources.get(service)
      return source === undefined
        ? Effect.fail(RealmError.make("ServiceNotFound", `service not found: '${service}'`))
        : Effect.succeed(source)
    }

    const rulesOf = (
      source: Source,
      namespace: Namespace
    ): Effect.Effect<Rules, RealmError.DataError> => {
      const rules = source.rules(namespace)
      return rules === undefined ? Effect.fail(DocumentAccess.noRule(namespace)) : Effect.succeed(rules)
    }

    /** What the one argument of an operation asks for. */
    const prepared = Effect.fnUntraced(function*<A extends { readonly namespace: Namespace }>(
      operation: string,
      source: Source,
      args: ReadonlyArray<unknown>,
      prepare: (argument: unknown) => Effect.Effect<A, Schema.SchemaError | RealmError.RequestError>
    ): Effect.fn.Return<A, CallError> {
      if (args.length !== 1) return yield* invalid(`"${operation}" takes one argument, a document`)
      // left aside, it would change what is found without a word
      if (Predicate.hasProperty(args[0], "collation")) {
        return yield* invalid("\"collation\" is not supported: store beside a text what it is to be compared by")
      }
      const wanted = yield* Effect.catchTag(
        prepare(yield* named(source, args[0])),
        "SchemaError",
        ({ message }) => Effect.fail(invalid(`the argument of "${operation}" is not as it should be: ${message}`))
      )
      const misnamed = checkNamespace(wanted.namespace)
      return misnamed === undefined ? wanted : yield* Effect.fail(misnamed)
    })

    return Documents.of({
      call: Effect.fnUntraced(function*({ args, asSystem, caller, operation, service }) {
        const source = yield* sourceOf(service)
        const known = Operations.operations.get(operation)
        if (known === undefined) {
          return yield* RealmError.make(
            "ServiceCommandNotFound",
            operation === "watch"
              ? "\"watch\" answers a stream, and is asked for by a streaming call"
              : `the service has no command '${operation}'`
          )
        }
        const wanted = yield* prepared(operation, source, args, known.prepare)
        const { namespace } = wanted
        if (asSystem === true || Option.isNone(Executor.inherited(caller))) {
          return yield* Effect.catchTag(
            wanted.run(database.collection(namespace, { numbers: "exact" })),
            "DatabaseError",
            wordsOf
          )
        }
        const rules = yield* rulesOf(source, namespace)
        const refused = restricted(wanted)
        if (refused !== undefined) return yield* refused
        return yield* asUser(caller, rules, wanted)
      }),
      watch: Effect.fnUntraced(function*({ args, caller, service }) {
        const source = yield* sourceOf(service)
        const wanted = yield* prepared("watch", source, args, DocumentWatch.prepare)
        const { filter, namespace } = wanted
        const rules = yield* rulesOf(source, namespace)
        const operator = UserRestrictions.ofFilter(filter)
        if (operator !== undefined) return yield* notAllowed(operator)
        const changes = DocumentWatch.changes(wanted, {
          caller,
          sight: rules.sight,
          access: (caller, ask) => rules.sight.access(caller, { ...scopeOf(caller), ask }),
          collection: database.collection(namespace, { numbers: "exact" })
        })
        // It is open once it says where it begins.
        const [first, rest] = yield* Stream.peel(
          Stream.catchTag(changes, "DatabaseError", (error) => Stream.fromEffect(wordsOf(error))),
          Sink.take<Watched>(1)
        )
        return Stream.concat(Stream.fromIterable(first), rest)
      })
    })
  })

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * The documents of an app, with its rules.
 *
 * ```ts
 * import { AppDefinition, Database, Documents } from "@effect-realm/server"
 * import { Layer } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", dataSources: [{ name: "mongodb-atlas" }] })
 * const layer = Layer.provide(Documents.layer(app), Database.layerMemory)
 * void layer
 * ```
 */
export const layer = (app: AppDefinition): Layer.Layer<Documents, never, Database> => Layer.effect(Documents, make(app))
