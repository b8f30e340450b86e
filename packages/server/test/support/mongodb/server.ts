/**
 * A collection of a real MongoDB, by its own driver.
 */
import type { DatabaseError } from "@effect-realm/server/Database"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Collection, MongoBulkWriteError, MongoClient, MongoNetworkError } from "mongodb"
import type { Things } from "../../DatabaseResults.contract.ts"

let databases = 0

interface Stored {
  readonly _id: unknown
}

/** What the driver or the server has against an operation. */
class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

// A connection that breaks has refused nothing.
const isBroken = (error: unknown): boolean =>
  error instanceof MongoNetworkError || (error instanceof MongoBulkWriteError && isBroken(error.errorResponse))

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, Refused> =>
  Effect.catch(
    Effect.tryPromise({ try: run, catch: (cause) => cause }),
    (cause) => isBroken(cause) ? Effect.die(cause) : Effect.fail(new Refused({ message: String(cause) }))
  )

const thingsOf = (things: Collection<Stored>): Things<Refused> => ({
  insertMany: (documents) => attempt(() => things.insertMany(documents.map((document) => ({ _id: 0, ...document })))),
  find: (filter, { projection = {}, sort = {} } = {}) =>
    attempt(() => things.find(filter, { sort: { ...sort }, projection }).toArray()),
  updateOne: (filter, update, { arrayFilters, upsert = false } = {}) =>
    attempt(() =>
      things.updateOne(filter, update, {
        upsert,
        ...arrayFilters === undefined ? undefined : { arrayFilters: [...arrayFilters] }
      })
    ),
  aggregate: (pipeline) => attempt(() => things.aggregate([...pipeline]).toArray()),
  createIndex: (keys) => attempt(() => things.createIndex({ ...keys }))
})

/** A new collection in a database of its own, which is gone when the scope closes. */
export const make = (url: string): Effect.Effect<Things<Refused | DatabaseError>, Refused, Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* Effect.acquireRelease(
      attempt(() => new MongoClient(url, { promoteValues: false, bsonRegExp: true }).connect()),
      (client) => Effect.promise(() => client.close())
    )
    const database = yield* Effect.acquireRelease(
      Effect.sync(() => client.db(`effect_realm_test_${process.pid}_${databases++}`)),
      (database) => Effect.promise(() => database.dropDatabase())
    )
    return thingsOf(database.collection<Stored>("things"))
  })
