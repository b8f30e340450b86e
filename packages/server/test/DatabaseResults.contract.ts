/**
 * What MongoDB answers, as its manual documents it: the tables of `support/mongodb`. They hold for every engine of
 * `Database`, and for MongoDB itself where one is at hand.
 */
import type { Database } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { EJSON } from "bson"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { dates, refusedDates } from "./support/mongodb/dates.ts"
import * as Expressions from "./support/mongodb/expressions.ts"
import { filters, missing, refusedFilters } from "./support/mongodb/filters.ts"
import { orders } from "./support/mongodb/orders.ts"
import { pipelines, refusedPipelines } from "./support/mongodb/pipelines.ts"
import * as Projections from "./support/mongodb/projections.ts"
import { refusedUpdates } from "./support/mongodb/refusedUpdates.ts"
import { updates } from "./support/mongodb/updates.ts"
import { refusedUpserts, upserts } from "./support/mongodb/upserts.ts"
import { exactly } from "./support/mongodb/values.ts"

/** What the tables ask of a collection; documents are handed out in exact form. */
export interface Things<E> {
  readonly insertMany: (documents: ReadonlyArray<Database.Document>) => Effect.Effect<unknown, E>
  readonly find: (
    filter: Database.Filter,
    options?: { readonly sort?: Database.Sort; readonly projection?: Database.Projection }
  ) => Effect.Effect<ReadonlyArray<object>, E>
  readonly updateOne: (
    filter: Database.Filter,
    update: Database.UpdateOperators,
    options?: {
      readonly arrayFilters?: ReadonlyArray<Database.Filter> | undefined
      readonly upsert?: boolean | undefined
    }
  ) => Effect.Effect<unknown, E>
  readonly aggregate: (pipeline: ReadonlyArray<Database.Stage>) => Effect.Effect<ReadonlyArray<object>, E>
  readonly createIndex: (keys: { readonly [path: string]: 1 | -1 }) => Effect.Effect<unknown, E>
}

const assertExactly = (actual: unknown, expected: unknown): void =>
  assert.strictEqual(exactly(actual), exactly(expected))

const numbered = (documents: ReadonlyArray<Database.Document>): ReadonlyArray<Database.Document> =>
  documents.map((document, _id) => ({ _id, ...document }))

const placesOf = (documents: ReadonlyArray<object>): ReadonlyArray<number> =>
  documents.map((document) => Number(Reflect.get(document, "_id")))

/** `make` gives an empty collection. */
export const resultsContract = <E>(name: string, make: Effect.Effect<Things<E>, E, Scope.Scope>): void => {
  const test = (title: string, run: (things: Things<E>) => Effect.Effect<void, E>): void => {
    it.live(title, () => Effect.scoped(Effect.flatMap(make, run)))
  }

  describe(`${name}: documented results`, { timeout: 60_000 }, () => {
    for (const { filter, finds, name, values } of filters) {
      test(name, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany(numbered(values.map((v) => v === missing ? {} : { v })))
          assert.deepStrictEqual(placesOf(yield* things.find(filter, { sort: { _id: 1 } })), finds)
          yield* things.createIndex({ v: 1 })
          assert.deepStrictEqual(placesOf(yield* things.find(filter, { sort: { _id: 1 } })), finds)
        }))
    }

    for (const [name, filter] of refusedFilters) {
      test(`refuses ${name}`, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([{ _id: 1, v: 1 }])
          assert.isTrue(yield* Effect.isFailure(things.find(filter)), "it was not refused")
        }))
    }

    for (const { documents, name, order, sort } of orders) {
      test(name, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany(numbered(documents))
          assert.deepStrictEqual(placesOf(yield* things.find({}, { sort })), order)
          yield* things.createIndex(sort)
          assert.deepStrictEqual(placesOf(yield* things.find({}, { sort })), order)
        }))
    }

    for (const { after, arrayFilters, before, filter, name, update } of updates) {
      test(name, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([{ _id: "x", ...before }])
          yield* things.updateOne(filter ?? {}, update, { arrayFilters })
          assertExactly(yield* things.find({}), [{ _id: "x", ...after }])
        }))
    }

    for (const { arrayFilters, before, filter, name, update } of refusedUpdates) {
      test(`refuses ${name}`, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([{ _id: "x", ...before }])
          const [stored] = yield* things.find({})
          const refused = yield* Effect.isFailure(things.updateOne(filter ?? {}, update, { arrayFilters }))
          assert.isTrue(refused, "it was not refused")
          assertExactly(yield* things.find({}), [stored])
        }))
    }

    for (const { document, filter, name, update } of upserts) {
      test(`an upsert takes ${name}`, (things) =>
        Effect.gen(function*() {
          yield* things.updateOne(filter, update ?? { $set: { a: 1 } }, { upsert: true })
          assertExactly(yield* things.find({}), [document])
        }))
    }

    for (const [name, filter, update] of refusedUpserts) {
      test(`refuses to upsert ${name}`, (things) =>
        Effect.gen(function*() {
          const upsert = things.updateOne(filter, update ?? { $set: { a: 1 } }, { upsert: true })
          assert.isTrue(yield* Effect.isFailure(upsert), "it was not refused")
          assert.deepStrictEqual(yield* things.find({}), [])
        }))
    }

    for (const { filter, name, projection, shown } of Projections.projections) {
      test(`a projection shows ${name}`, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([Projections.document])
          assertExactly(yield* things.find(filter ?? {}, { projection }), [shown])
        }))
    }

    for (const [name, projection] of Projections.refusedProjections) {
      test(`refuses to project ${name}`, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([Projections.document])
          assert.isTrue(yield* Effect.isFailure(things.find({}, { projection })), "it was not refused")
        }))
    }

    for (const [expression, value] of [...Expressions.expressions, ...dates]) {
      const text = EJSON.stringify(expression)
      test(`${text} is ${value === undefined ? "missing" : EJSON.stringify(value)}`, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([{ _id: 1, ...Expressions.document }])
          const found = yield* things.aggregate([{ $project: { _id: 0, v: expression } }])
          assertExactly(found, [value === undefined ? {} : { v: value }])
        }))
    }

    for (const expression of [...Expressions.refusedExpressions, ...refusedDates]) {
      test(`refuses ${EJSON.stringify(expression)}`, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([{ _id: 1, ...Expressions.document }])
          const evaluated = things.aggregate([{ $project: { _id: 0, v: expression } }])
          assert.isTrue(yield* Effect.isFailure(evaluated), "it was not refused")
        }))
    }

    for (const { documents, name, pipeline, result } of pipelines) {
      test(name, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany(numbered(documents))
          assertExactly(yield* things.aggregate(pipeline), result)
        }))
    }

    for (const [name, pipeline] of refusedPipelines) {
      test(`refuses ${name}`, (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([{ _id: 1, n: 1 }])
          assert.isTrue(yield* Effect.isFailure(things.aggregate(pipeline)), "it was not refused")
        }))
    }
  })
}
