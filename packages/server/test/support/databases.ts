/**
 * What the suites of `Database` have in common.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, it } from "@effect/vitest"
import { Effect, type Layer, type Scope } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"

export type Collection = DatabaseModule.Collection
export type Document = DatabaseModule.Document
export type Filter = DatabaseModule.Filter

/** A collection that hands out numbers in the type they have. */
export const exactThings: Effect.Effect<Collection, never, Database> = Database.use((database) =>
  Effect.succeed(database.collection({ database: "app", collection: "things" }, { numbers: "exact" }))
)

export const things: Effect.Effect<Collection, never, Database> = Database.use((database) =>
  Effect.succeed(database.collection({ database: "app", collection: "things" }))
)

/** A folder that goes with the scope. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(tmpdir(), "database-"))),
  (name) => Effect.sync(() => fs.rmSync(name, { recursive: true, force: true }))
)

/** The name of a file that is not there yet, in a folder of its own. */
export const newFile: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  folder,
  (name) => path.join(name, "app.db")
)

/** Declares tests on a collection of a database with nothing in it. */
export const testOn =
  (layer: Layer.Layer<Database, DatabaseError>) =>
  (title: string, run: (things: Collection) => Effect.Effect<unknown, DatabaseError>): void => {
    it.effect(title, () => Effect.provide(Effect.flatMap(things, run), layer))
  }

export const errorOf = <A, R>(effect: Effect.Effect<A, DatabaseError, R>): Effect.Effect<DatabaseError, never, R> =>
  Effect.match(effect, { onFailure: (error) => error, onSuccess: () => assert.fail("it did not fail") })

export const reasonOf = <A, R>(
  effect: Effect.Effect<A, DatabaseError, R>
): Effect.Effect<DatabaseError["reason"], never, R> => Effect.map(errorOf(effect), (error) => error.reason)

export const ids = (documents: ReadonlyArray<Document>): ReadonlyArray<unknown> =>
  documents.map((document) => document["_id"])

export const sortedIds = (documents: ReadonlyArray<Document>): ReadonlyArray<string> =>
  ids(documents).map(String).toSorted()
