/**
 * Reads, writes and watches documents behind the shop's rules. Run it: `npx node packages/examples/src/reviews.ts`
 */
import { App, Collection, Credentials, User } from "@effect-realm/client"
import { Deferred, Effect, Fiber, Option, Schema, Stream } from "effect"
import * as Shop from "./Shop.ts"

/** What a customer thinks of what they bought. Others see it without its author: see `apps/shop/data_sources`. */
export const Review = Schema.Struct({
  _id: Schema.String,
  author: Schema.optionalKey(Schema.String),
  item: Schema.String,
  stars: Schema.Int,
  text: Schema.optionalKey(Schema.String)
})

/** The reviews, as a user may see them. */
export const reviewsFor = (user: User.User): Collection.Collection<typeof Review.Type, typeof Review.Encoded> =>
  User.mongoClient(user, "mongodb-atlas").db("shop").collection("reviews", Review)

export const reviewTea = Effect.fn("reviewTea")(function*(app: App.App) {
  const user = yield* App.logIn(app, Credentials.anonymous())
  const reviews = reviewsFor(user)
  const mine = { author: user.id }

  // Documents are encoded by the schema; one that does not fit is not sent.
  yield* Collection.insertMany(reviews, [
    { _id: "tea-1", ...mine, item: "tea", stars: 3, text: "Warm." },
    { _id: "cake-1", ...mine, item: "cake", stars: 5 }
  ])

  // A watch tells when it is open: from then on no change is missed, however often the connection is lost.
  const open = yield* Deferred.make<void>()
  const watching = yield* Collection.watch(reviews, { filter: { "fullDocument.item": "tea" } }).pipe(
    Stream.tap((event) => event._tag === "Opened" ? Deferred.succeed(open, undefined) : Effect.void),
    Stream.filter((event) => event._tag === "Update"),
    Stream.map((event) => Option.match(event.fullDocument, { onNone: () => 0, onSome: ({ stars }) => stars })),
    Stream.take(2),
    Stream.runCollect,
    Effect.forkChild
  )
  yield* Deferred.await(open)

  // Filters and updates are typed by what the schema encodes to.
  yield* Collection.updateOne(reviews, { _id: "tea-1" }, { $inc: { stars: 1 } })
  const best = yield* Collection.findOneAndUpdate(reviews, { item: "tea" }, { $max: { stars: 5 } }, {
    returnNewDocument: true
  })
  const stars = yield* Fiber.join(watching)

  // The shop's rules know no more than five stars. What a rule refuses changes nothing.
  const refused = yield* Collection.updateMany(reviews, {}, { $set: { stars: 6 } }).pipe(
    Effect.as("written"),
    Effect.catchTag("DataError", ({ reason }) => Effect.succeed(reason.message))
  )

  const averages = yield* Collection.aggregate(reviews, [
    { $group: { _id: "$item", stars: { $avg: "$stars" } } },
    { $sort: { _id: 1 } }
  ], { schema: Schema.Struct({ _id: Schema.String, stars: Schema.Finite }) })

  yield* Collection.deleteMany(reviews, { author: user.id })
  return {
    best: Option.match(best, { onNone: () => 0, onSome: (review) => review.stars }),
    watched: stars,
    refused,
    averages
  }
})

if (import.meta.main) Shop.run(reviewTea)
