/**
 * The steps of the tour that are about documents: written, read, guarded by rules, and watched.
 */
import type { User } from "@effect-realm/client"
import { App, type ChangeEvent, Collection, Credentials, TokenStore } from "@effect-realm/client"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { reviewsFor } from "./reviews.ts"
import * as Step from "./Step.ts"

const value = (value: unknown): string => JSON.stringify(value)

const Average = Schema.Struct({ _id: Schema.String, stars: Schema.Finite })

/** A change in a line. */
const told = (event: ChangeEvent.ChangeEvent<{ readonly stars: number }, string>): string => {
  switch (event._tag) {
    case "Insert":
      return `Insert of ${event.documentKey._id}, ${event.fullDocument.stars} stars`
    case "Update":
      return `Update of ${event.documentKey._id}: ${value(event.updatedFields)}`
    case "Delete":
      return `Delete of ${event.documentKey._id}`
    default:
      return event._tag
  }
}

/** Shows what this user does with reviews of the shop, and what others see of them. */
export const steps = Effect.fnUntraced(function*(app: App.App, user: User.User) {
  const reviews = reviewsFor(user)
  const mine = { author: user.id }

  yield* Step.run({
    title: "Write documents, typed by a schema",
    asked: `const reviews = User.mongoClient(user).db("shop").collection("reviews", Review)\n` +
      "Collection.insertMany(reviews, [tea, milk, cake])",
    does: Collection.insertMany(reviews, [
      { _id: "tea", ...mine, item: "tea", stars: 3, text: "Warm." },
      { _id: "milk", ...mine, item: "milk", stars: 4 },
      { _id: "cake", ...mine, item: "cake", stars: 5 }
    ]).pipe(
      Effect.tap(({ insertedIds }) => Step.check(insertedIds.length === 3, `the ids are ${value(insertedIds)}`))
    ),
    shows: ({ insertedIds }) => `Three documents, with the ids ${insertedIds.join(", ")}`
  })

  yield* Step.run({
    title: "Find documents by a filter, in an order",
    asked: "Collection.find(reviews, { stars: { $gte: 4 } }, { sort: { stars: -1 } })",
    does: Collection.find(reviews, { stars: { $gte: 4 } }, { sort: { stars: -1 } }).pipe(
      Effect.map((found) => found.map(({ item, stars }) => `${item}: ${stars}`)),
      Effect.tap((found) => Step.check(found.join() === "cake: 5,milk: 4", `the reviews are ${value(found)}`))
    ),
    shows: (found) => found.join(", ")
  })

  yield* Step.run({
    title: "Let the server compute over documents",
    asked: `Collection.aggregate(reviews, [{ $group: { _id: "$author", stars: { $avg: "$stars" } } }], { schema })`,
    does: Collection.aggregate(reviews, [{ $group: { _id: "$author", stars: { $avg: "$stars" } } }], {
      schema: Average
    }).pipe(Effect.tap(([average]) => Step.check(average?.stars === 4, `the average is ${value(average)}`))),
    shows: value
  })

  yield* Step.run({
    title: "Write what the rules do not allow: refused, and nothing is changed",
    asked: `Collection.updateMany(reviews, {}, { $set: { stars: 6 } })`,
    does: Effect.flip(Collection.updateMany(reviews, {}, { $set: { stars: 6 } })).pipe(
      Effect.tap((error) => Step.check(error._tag === "DataError", `the error is ${error._tag}: ${error.message}`)),
      Effect.tap(
        Collection.count(reviews, { stars: 6 }).pipe(
          Effect.flatMap((count) => Step.check(count === 0, `${count} reviews have six stars`))
        )
      )
    ),
    shows: (error) => `${error._tag}: ${error.message}`
  })

  yield* Step.run({
    title: "Another user sees of a document what the rules show",
    asked: `Collection.findOne(reviewsOfAnother, { item: "tea" })`,
    does: App.logIn(app, Credentials.anonymous({ reuse: false })).pipe(
      Effect.flatMap((another) => Collection.findOne(reviewsFor(another), { item: "tea" })),
      Effect.flatMap(Effect.fromOption),
      Effect.tap((review) => Step.check(review.author === undefined, `the author is shown: ${value(review)}`)),
      Effect.provide(Layer.fresh(TokenStore.layerMemory))
    ),
    shows: (review) => `${value(review)}: no author`
  })

  yield* Step.run({
    title: "Watch a collection: changes come as they are made",
    asked: `Collection.watch(reviews).pipe(Stream.take(4))`,
    does: Effect.gen(function*() {
      const open = yield* Deferred.make<void>()
      const watching = yield* Collection.watch(reviews).pipe(
        Stream.tap((event) => event._tag === "Opened" ? Deferred.succeed(open, undefined) : Effect.void),
        Stream.map(told),
        Stream.take(4),
        Stream.runCollect,
        Effect.timeout("10 seconds"),
        Effect.forkChild
      )
      yield* Deferred.await(open)
      yield* Collection.insertOne(reviews, { _id: "bread", ...mine, item: "bread", stars: 1 })
      yield* Collection.updateOne(reviews, { _id: "bread" }, { $set: { stars: 2 } })
      yield* Collection.deleteOne(reviews, { _id: "bread" })
      const events = yield* Fiber.join(watching)
      yield* Step.check(
        events.join("; ") ===
          `Opened; Insert of bread, 1 stars; Update of bread: {"stars":2}; Delete of bread`,
        `the events are ${value(events)}`
      )
      return events
    }),
    shows: (events) => events.join("\n")
  })

  yield* Step.run({
    title: "Change one document and get it, then remove all",
    asked:
      `Collection.findOneAndUpdate(reviews, { _id: "tea" }, { $inc: { stars: 2 } }, { returnNewDocument: true })\n` +
      "Collection.deleteMany(reviews, { author: user.id })",
    does: Effect.gen(function*() {
      const tea = yield* Collection.findOneAndUpdate(reviews, { _id: "tea" }, { $inc: { stars: 2 } }, {
        returnNewDocument: true
      })
      const { deletedCount } = yield* Collection.deleteMany(reviews, mine)
      const stars = Option.match(tea, { onNone: () => 0, onSome: ({ stars }) => stars })
      yield* Step.check(stars === 5 && deletedCount === 3, `${stars} stars, ${deletedCount} removed`)
      return { stars, deletedCount }
    }),
    shows: ({ deletedCount, stars }) => `Tea has ${stars} stars; ${deletedCount} documents were removed`
  })
})
