/**
 * Custom user data: one document of the app's own per user, carried in the access token (server section 3.5).
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import { ObjectId } from "bson"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as AppDefinition from "./AppDefinition.ts"
import { Database } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"

/** A document in canonical Extended JSON. */
export type JsonDocument = { readonly [field: string]: Schema.Json }

/** Where the custom data of users is read. */
export class CustomUserData extends Context.Service<CustomUserData, {
  /**
   * The document of a user as it is now, exact to the BSON type of each number. Empty when there is none, or when the app
   * has no custom user data. A document that names the user by a string is preferred to one that does by an ObjectId; of
   * several, the one inserted first counts.
   */
  readonly read: (userId: string) => Effect.Effect<JsonDocument, DatabaseError>
}>()("@effect-realm/server/CustomUserData") {}

/**
 * Reads from the collection that the app names; an index on the user id field is made when there is none.
 *
 * ```ts
 * import { AppDefinition, CustomUserData, Database } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   customUserData: { databaseName: "shop", collectionName: "people", userIdField: "userId" }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const people = (yield* Database.Database).collection({ database: "shop", collection: "people" })
 *   yield* people.insertOne({ _id: "1", userId: "ann", age: 4 })
 *   return yield* (yield* CustomUserData.CustomUserData).read("ann")
 * })
 *
 * const layer = Layer.provideMerge(CustomUserData.layer(app.customUserData), Database.layerMemory)
 * await Effect.runPromise(Effect.provide(program, layer)) // => { _id: "1", userId: "ann", age: { $numberInt: "4" } }
 * ```
 */
export const layer = (
  settings: AppDefinition.CustomUserData | undefined
): Layer.Layer<CustomUserData, DatabaseError, Database> =>
  settings === undefined || !settings.enabled
    ? Layer.succeed(CustomUserData, CustomUserData.of({ read: () => Effect.succeed({}) }))
    : Layer.effect(
      CustomUserData,
      Effect.gen(function*() {
        const { collectionName, databaseName, userIdField } = settings
        const documents = (yield* Database).collection(
          { database: databaseName, collection: collectionName },
          { numbers: "exact" }
        )
        yield* documents.createIndex({ [userIdField]: 1 })

        const read = Effect.fnUntraced(function*(userId: string) {
          const byString = yield* documents.findOne({ [userIdField]: userId })
          const found = Option.isSome(byString) || !ObjectId.isValid(userId)
            ? byString
            : yield* documents.findOne({ [userIdField]: new ObjectId(userId) })
          // What came out of the database always has an Extended JSON form, and that of a document is an object.
          return Option.isNone(found) ? {} : Ejson.encodeUnsafe(found.value) as JsonDocument
        })

        return CustomUserData.of({ read })
      })
    )
