/**
 * The orders that the bench keeps, in a small and in a large collection, and what is done with them.
 */
import { AppDefinition, type Database } from "@effect-realm/server"
import * as Effect from "effect/Effect"

interface Document {
  readonly [field: string]: unknown
}

/** A document of which some fields are known. */
export interface Order extends Document {
  readonly _id: string
  readonly visits: number
}

const everything = { applyWhen: {}, read: true, write: true, insert: true, delete: true }

const seen = { read: true, write: true }

/** The fields of an order, but for the `note`. */
const fields = Object.fromEntries(
  ["_id", "number", "customer", "status", "total", "at", "items", "visits", "archived"].map((field) => [field, seen])
)

/** The collections: orders that everybody may do everything with, and orders under rules. */
export const collections = {
  open: "orders",
  /** With a list of the fields that are seen, which hides one, and a filter. */
  ruled: "ruledOrders"
} as const

/** An app that serves `large` and `small`, databases of both collections. */
export const app: AppDefinition.AppDefinition = AppDefinition.make({
  appId: "bench-abcde",
  authProviders: { anonymous: {} },
  dataSources: [{
    defaultRule: { roles: [{ name: "everybody", ...everything }] },
    collections: ["small", "large"].map((database) => ({
      database,
      collection: collections.ruled,
      roles: [{ name: "clerk", applyWhen: {}, insert: true, delete: true, fields, additionalFields: {} }],
      filters: [{ name: "current", applyWhen: {}, query: { archived: false } }]
    }))
  }]
})

const day = 86_400_000

/** An order, as a shop keeps it: about 300 bytes. */
export const order = (number: number): Order => ({
  _id: `order-${number}`,
  number,
  customer: `customer-${number % 97}`,
  status: number % 3 === 0 ? "open" : "sent",
  total: number % 1000 + 0.5,
  at: new Date(Date.UTC(2024, 0, 1) + number % 365 * day),
  items: [{ sku: `sku-${number % 89}`, count: number % 5 + 1 }, { sku: "bag", count: 1 }],
  visits: 0,
  archived: false
})

/** Fills a collection with so many orders, numbered from 0, by an index on their numbers. */
export const fill = Effect.fnUntraced(function*(
  orders: Database.Collection,
  count: number
): Effect.fn.Return<void, Database.DatabaseError> {
  yield* orders.createIndex({ number: 1 })
  for (let from = 0; from < count; from += chunk) {
    const length = Math.min(chunk, count - from)
    yield* orders.insertMany(
      Array.from({ length }, (_, index) => ({ ...order(from + index), note: "to be left at the door" }))
    )
  }
})

const chunk = 5000

/** What can be done with a collection, whoever does it. */
export interface Operations<A> {
  readonly insertOne: (document: Order) => A
  readonly findOne: (filter: Document) => A
  readonly find: (filter: Document, options: { readonly sort: { readonly number: 1 }; readonly limit: number }) => A
  readonly updateOne: (filter: Document, update: { readonly $inc: { readonly visits: 1 } }) => A
  readonly aggregate: (pipeline: Array<Document>) => A
}

/** What is measured: each call is another document's, so that nothing but what belongs to all of them is remembered. */
export interface Workload<A> {
  readonly insertOne: () => A
  readonly findOne: () => A
  readonly find100: () => A
  readonly updateOne: () => A
  readonly aggregate: () => A
}

/** The work on a collection that was filled with `count` orders. */
export const workload = <A>(operations: Operations<A>, count: number): Workload<A> => {
  let inserted = count
  let turn = 0
  // A step that has no divisor in common with any count that is used goes through all numbers.
  const next = () => (turn = (turn + 7919) % count)
  const window = Math.min(count, 1000)
  return {
    insertOne: () => operations.insertOne(order(inserted++)),
    findOne: () => operations.findOne({ _id: `order-${next()}` }),
    find100: () =>
      operations.find({ number: { $gte: Math.max(0, next() - 100) } }, { sort: { number: 1 }, limit: 100 }),
    updateOne: () => operations.updateOne({ number: next() }, { $inc: { visits: 1 } }),
    aggregate: () => {
      const from = Math.min(next(), count - window)
      return operations.aggregate([
        { $match: { number: { $gte: from, $lt: from + window } } },
        { $group: { _id: "$customer", total: { $sum: "$total" }, orders: { $sum: 1 } } },
        { $sort: { total: -1 } }
      ])
    }
  }
}
