/**
 * `watch` of the MongoDB service (protocol section 9.4): the changes of a collection as one user sees them, for as long as he
 * may watch, by the rules that hold for him when he is told.
 */
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Database from "../../Database.ts"
import { DatabaseError } from "../../DatabaseError.ts"
import type { Watched } from "../../Documents.ts"
import { type Caller, Functions } from "../../Functions.ts"
import { parseQuery, type Query, widthOf } from "../engine/documentSearch.ts"
import { badFilter } from "../engine/failure.ts"
import { memoized } from "../memoized.ts"
import { type Refusal, Unanswered } from "./documentAccess.ts"
import * as RuleFunctions from "./ruleFunctions.ts"
import type * as WatchAccess from "./watchAccess.ts"

type Document = Database.Document

// -----------------------------------------------------------------------------
// Arguments
// -----------------------------------------------------------------------------

/** What is to be watched. */
export interface Wanted {
  readonly namespace: Database.Namespace
  /** On events as the user is told them. */
  readonly filter: Document
  readonly resumeAfter: Database.ResumeToken | undefined
  /** With the short names of Stitch. */
  readonly compact: boolean
}

const decode = Schema.decodeUnknownEffect(MongoDBService.WatchArgs)

/** Reads the argument of the call. */
export const prepare = (input: unknown): Effect.Effect<Wanted, Schema.SchemaError | RealmError.RequestError> =>
  Effect.flatMap(
    decode(input),
    ({ collection, database, filter, ids, resumeAfter, useCompactEvents = false }) =>
      ids !== undefined && filter !== undefined
        ? Effect.fail(RealmError.make(
          "InvalidParameter",
          "\"ids\" and \"filter\" are not for one watch: ask for { \"documentKey._id\": { \"$in\": […] } } in the filter"
        ))
        : Effect.succeed({
          namespace: { database, collection },
          filter: ids === undefined ? filter ?? {} : { "documentKey._id": { $in: ids } },
          resumeAfter,
          compact: useCompactEvents
        })
  )

// -----------------------------------------------------------------------------
// Events
// -----------------------------------------------------------------------------

/**
 * An event as it travels. What a filter may ask for is what is told, so that it finds out nothing else. Those who are told
 * the same share it.
 */
const toWire = memoized((event: Database.ChangeEvent): Document => ({
  _id: event.resumeToken,
  operationType: event.operationType,
  clusterTime: event.clusterTime,
  ns: { db: event.namespace.database, coll: event.namespace.collection },
  documentKey: event.documentKey,
  ...("fullDocument" in event ? { fullDocument: event.fullDocument } : undefined),
  ...("updateDescription" in event ? { updateDescription: event.updateDescription } : undefined)
}))

const compactNames = { _id: "_id", operationType: "ot", documentKey: "dk", fullDocument: "fd", updateDescription: "ud" }

const toCompact = memoized((event: Document): Document =>
  Object.fromEntries(
    Object.entries(compactNames).flatMap(([name, short]) => name in event ? [[short, event[name]]] : [])
  )
)

// -----------------------------------------------------------------------------
// Watching
// -----------------------------------------------------------------------------

// it is asked about every event, for as long as the watch lasts
const maxConditions = 1000

const parse = (filter: Document): Effect.Effect<Query, DatabaseError> =>
  Effect.try({
    try: () => {
      const query = parseQuery(filter)
      if (widthOf(query.filter) > maxConditions) {
        throw badFilter(`a watch has at most ${maxConditions} conditions; documents are asked for by "ids"`)
      }
      return query
    },
    catch: (error) => {
      if (error instanceof DatabaseError) return error
      throw error
    }
  })

/** For so many milliseconds the answer of a function holds, when there is nothing to tell meanwhile. */
const lifeOfAnswers = 1000

/** A watch remembers so many answers at most; no document asks as many questions. */
const maxAnswers = 1000

/**
 * The changes that are wanted, and places in between: one at once, and one with each beat, whatever goes on.
 *
 * Before anything is told it is asked who the user is now. When the rules see another in him, what he was not told yet is
 * seen anew. Functions in rules are asked anew for whatever comes.
 *
 * @param options.caller whoever watches, as he is now; fails when he may watch no longer
 * @param options.access what he sees, by the answers of functions
 */
export const changes = <E>(wanted: Wanted, { access, caller, collection, sight }: {
  readonly caller: Effect.Effect<Caller, E>
  readonly collection: Database.Collection<Refusal>
  readonly sight: WatchAccess.Sight
  readonly access: (caller: Caller, ask: RuleFunctions.Ask) => Database.Access<Refusal>
}): Stream.Stream<Watched, E | DatabaseError | RealmError.DataError, Functions> =>
  Stream.unwrap(Effect.gen(function*() {
    const clock = yield* Clock.clockWith(Effect.succeed)
    const functions = yield* Functions
    const { predicate } = yield* parse(wanted.filter)

    let answers = RuleFunctions.makeAnswers()
    let answeredAt = 0
    const ask: RuleFunctions.Ask = (name, args) => {
      if (clock.currentTimeMillisUnsafe() - answeredAt > lifeOfAnswers) answers = RuleFunctions.makeAnswers()
      return answers.ask(name, args)
    }
    const learn = (caller: Caller, question: Unanswered) =>
      Effect.suspend(() => {
        // What was judged with them is behind, however far there is to go.
        if (answers.size() >= maxAnswers) answers = RuleFunctions.makeAnswers()
        return Effect.provideService(answers.learn(caller, question), Functions, functions)
      }).pipe(Effect.andThen(Effect.sync(() => {
        answeredAt = clock.currentTimeMillisUnsafe()
      })))

    const selfOf = (caller: Caller) => ({ caller, key: sight.key(caller), access: access(caller, ask) })
    let self = selfOf(yield* caller)
    const now = Effect.map(caller, (caller) => {
      answers = RuleFunctions.makeAnswers()
      if (sight.key(caller) !== self.key) self = selfOf(caller)
      return self.access
    })

    return collection.watchAs(
      (refused: Option.Option<Refusal>): Effect.Effect<Database.Access<Refusal>, E | RealmError.DataError> =>
        Option.isNone(refused)
          ? now
          : refused.value instanceof Unanswered
          ? Effect.map(learn(self.caller, refused.value), () => self.access)
          : Effect.fail(refused.value),
      { resumeAfter: wanted.resumeAfter, only: (event) => predicate(toWire(event), clock.currentTimeMillisUnsafe()) }
    ).pipe(Stream.map((item) => {
      if (item._tag === "Position") return item
      const event = toWire(item.event)
      return { _tag: "Changed", event: wanted.compact ? toCompact(event) : event }
    }))
  }))
