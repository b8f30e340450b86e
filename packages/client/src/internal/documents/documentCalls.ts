/**
 * Calls of the MongoDB service, and documents by the schema of their collection. Extended JSON is outermost, then come the
 * names of the wire, then the schema.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import type * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import type * as RealmError from "@effect-realm/protocol/RealmError"
import type { ObjectId } from "bson"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { DocumentMismatchError, type ExchangeError } from "../../ClientError.ts"
import type { TokenStore } from "../../TokenStore.ts"
import * as FunctionCalls from "../functions/functionCalls.ts"
import * as Answer from "../requests/answer.ts"
import * as Operation from "../requests/operation.ts"
import * as Transport from "../requests/transport.ts"
import type * as Sessions from "../sessions/session.ts"

type Client = HttpClient.HttpClient | TokenStore

/** A collection, as a request names it. */
export interface CollectionRef {
  readonly user: Sessions.UserRef
  readonly service: string
  readonly database: string
  readonly name: string
}

export type CallError =
  | ExchangeError
  | RealmError.FunctionError
  | RealmError.ServiceError
  | RealmError.DataError
  | Ejson.EjsonError

// -----------------------------------------------------------------------------
// Calls
// -----------------------------------------------------------------------------

/** What an operation on a collection is about, for its span. */
export const about = (collection: CollectionRef): Operation.About => ({
  endpoint: Endpoint.callFunction,
  appId: collection.user.appId,
  attributes: {
    "realm.service": collection.service,
    "db.namespace": collection.database,
    "db.collection.name": collection.name
  }
})

interface Args {
  readonly [name: string]: unknown
}

/** The arguments of a function of the service in Extended JSON. */
export const encodeArgs = (
  schema: Schema.ConstraintEncoder<unknown>,
  collection: CollectionRef,
  args: Args
): Result.Result<Schema.Json, Ejson.EjsonError> => {
  const unclear = undefinedIn(args["filter"], "filter", 0)
  if (unclear !== undefined) return Result.fail(undefinedFilter(unclear))
  const named = SchemaParser.encodeUnknownResult(schema)({
    database: collection.database,
    collection: collection.name,
    ...Object.fromEntries(Object.entries(args).filter(([, value]) => value !== undefined))
  })
  if (Result.isSuccess(named)) return Ejson.encode(named.success)
  // Extended JSON knows more of what cannot be sent. What remains are values of types that no compiler lets through.
  return Result.flatMap(Ejson.encode(args), () => {
    throw new Schema.SchemaError(named.failure)
  })
}

/** The arguments of a function beside its namespace; what is `undefined` is not sent. */
type ArgsOf<O extends MongoDBService.Any> = {
  readonly [K in Exclude<keyof O["args"]["Type"], "database" | "collection">]: O["args"]["Type"][K] | undefined
}

/** Calls one function of the service: reads again by policy, writes once (law 10). */
export const make = <O extends MongoDBService.Any>(
  operation: O
): <A, E>(
  collection: CollectionRef,
  args: ArgsOf<O>,
  use: (result: O["result"]["Type"]) => Effect.Effect<A, E>
) => Effect.Effect<A, E | CallError, Client> => {
  const { name, reads, result } = operation
  const around = Operation.make(`Collection.${name}`)
  const send = Transport.make(Endpoint.callFunction, { repeat: reads ? "always" : "declared" })
  const decode = SchemaParser.decodeUnknownEffect(result)
  const ofAnotherShape = () =>
    Answer.invalid(Endpoint.callFunction, `the result of ${name} has another shape than the protocol says`)

  return (collection, args, use) =>
    around(
      Effect.suspend(() => Effect.fromResult(encodeArgs(operation.args, collection, args))).pipe(
        Effect.flatMap((args) => FunctionCalls.send(send, collection.user, name, [args], collection.service)),
        Effect.flatMap(FunctionCalls.answer),
        Effect.flatMap((value) => Effect.mapError(decode(value), ofAnotherShape)),
        Effect.flatMap(use)
      ),
      about(collection)
    )
}

const undefinedFilter = (path: string): Ejson.EjsonError =>
  new Ejson.EjsonError({
    path,
    reason: {
      _tag: "Unsupported",
      found: "undefined in a filter",
      advice: "leave the member out to select more documents, or ask for null"
    }
  })

// Extended JSON goes no deeper by default, and says so.
const deepest = 200

/**
 * Where in a filter a member is `undefined`. Extended JSON would leave it out, and what was meant for the documents of one
 * user would select those of all.
 */
const undefinedIn = (value: unknown, path: string, depth: number): string | undefined => {
  if (typeof value !== "object" || value === null || depth > deepest) return undefined
  for (const [key, member] of membersOf(value)) {
    const at = typeof key === "number" ? `${path}[${key}]` : `${path}.${key}`
    const found = member === undefined ? at : undefinedIn(member, at, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

const membersOf = (value: object): Iterable<readonly [string | number, unknown]> => {
  if (Array.isArray(value)) return value.entries()
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? Object.entries(value) : []
}

// -----------------------------------------------------------------------------
// Documents
// -----------------------------------------------------------------------------

/** A schema of documents that needs no services. */
export type DocumentSchema<A> = Schema.Constraint & { readonly Type: A }

const longestId = 100

const isObjectId = (value: unknown): value is ObjectId =>
  Predicate.hasProperty(value, "_bsontype") && value._bsontype === "ObjectId"

const idOf = (document: unknown): string | undefined => {
  const id = Predicate.hasProperty(document, "_id") ? document._id : undefined
  if (id === undefined) return undefined
  if (isObjectId(id)) return id.toHexString()
  const text = Result.getOrUndefined(Ejson.stringify(id))
  return text === undefined || text.length <= longestId ? text : `${text.slice(0, longestId)}…`
}

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

const mismatch = (
  collection: CollectionRef,
  direction: DocumentMismatchError["direction"],
  document: unknown,
  issue: SchemaIssue.Issue
): DocumentMismatchError => {
  const first = issues(issue).issues[0]
  const id = idOf(document)
  return new DocumentMismatchError({
    collection: `${collection.database}.${collection.name}`,
    direction,
    ...(id === undefined ? undefined : { id }),
    path: pathOf(first?.path ?? []),
    // A formatter answers one issue at least.
    detail: first?.message ?? "Expected another document"
  })
}

type Step = PropertyKey | { readonly key: PropertyKey }

const pathOf = (path: ReadonlyArray<Step>): string =>
  path.map((step) => typeof step === "object" ? step.key : step)
    .reduce<string>(
      (text, key) => typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`,
      ""
    )

/** A document that was read, by the schema; as it is without one. */
export const decode = <A>(
  collection: CollectionRef,
  schema: DocumentSchema<A> | undefined,
  document: unknown
): Effect.Effect<A, DocumentMismatchError> =>
  schema === undefined
    // Without a schema `A` is `Document`, in the signatures of all callers.
    ? Effect.succeed(document as A)
    : Effect.mapError(
      SchemaParser.decodeUnknownEffect(Ejson.toCodecBson(schema))(document),
      (issue) => mismatch(collection, "Read", document, issue)
    )

/** A document as it is stored, by the schema; as it is without one. */
export const encode = <A>(
  collection: CollectionRef,
  schema: DocumentSchema<A> | undefined,
  document: A
): Effect.Effect<Ejson.Document, DocumentMismatchError> =>
  schema === undefined
    ? Effect.succeed(document as Ejson.Document)
    : SchemaParser.encodeUnknownEffect(Ejson.toCodecBson(schema))(document).pipe(
      Effect.mapError((issue) => mismatch(collection, "Write", document, issue)),
      // Whether it encodes to a document is checked by the service's arguments.
      Effect.map((encoded) => encoded as Ejson.Document)
    )
