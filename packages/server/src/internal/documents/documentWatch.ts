/**
 * `watch` of the MongoDB service (protocol section 9.4): the changes of a collection as one user sees them, for as long as he
 * may watch, by the rules that hold for him when he is told.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Database from "../../Database.ts"
import { DatabaseError } from "../../DatabaseError.ts"
import type { Watched } from "../../Documents.ts"
import type { Caller, Functions } from "../../Functions.ts"
import { parseQuery, type Query, widthOf } from "../engine/documentSearch.ts"
import { badFilter } from "../engine/failure.ts"
import { userDocument } from "../functions/callScope.ts"
import { type Refusal, Unanswered } from "./documentAccess.ts"
import * as RuleFunctions from "./ruleFunctions.ts"

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

/** An event as it travels. What a filter may ask for is what is told, so that it finds out nothing else. */
const toWire = (event: Database.ChangeEvent): Document => ({
  _id: event.resumeToken,
  operationType: event.operationType,
  clusterTime: event.clusterTime,
  ns: { db: event.namespace.database, coll: event.namespace.collection },
  documentKey: event.documentKey,
  ...("fullDocument" in event ? { fullDocument: event.fullDocument } : undefined),
  ...("updateDescription" in event ? { updateDescription: event.updateDescription } : undefined)
})

const compactNames = { _id: "_id", operationType: "ot", documentKey: "dk", fullDocument: "fd", updateDescription: "ud" }

const toCompact = (event: Document): Document =>
  Object.fromEntries(
    Object.entries(compactNames).flatMap(([name, short]) => name in event ? [[short, event[name]]] : [])
  )

// -----------------------------------------------------------------------------
// Watching
// -----------------------------------------------------------------------------

/** Who watches has become another for the rules: what he is about to be told has to be seen anew. */
class Outdated {
  readonly _tag = "Outdated"
}

const beat: { readonly _tag: "Beat" } = { _tag: "Beat" }

const beats = Stream.as(Stream.drop(Stream.tick(StreamEvent.beat), 1), beat)

/** All of a user that rules can ask for. */
const fingerprint = ({ user }: Caller): string => JSON.stringify(Ejson.encodeUnsafe(userDocument(user)))

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

/** What is told of what the database tells: events that match, and places while there are none. */
const makeTeller = ({ compact, resumeAfter }: Wanted, { predicate }: Query) => {
  /** After which change to go on. */
  let place = resumeAfter
  let isTold = false
  let isOpen = false

  const event = (item: Database.ChangeEvent): ReadonlyArray<Watched> => {
    place = item.resumeToken
    const event = toWire(item)
    isTold = predicate(event)
    return isTold ? [{ _tag: "Changed", event: compact ? toCompact(event) : event }] : []
  }
  const position = (): ReadonlyArray<Watched> => {
    if (isTold || place === undefined) return []
    isTold = true
    return [{ _tag: "Position", resumeToken: place }]
  }

  return {
    place: () => place,
    /** Whether something was looked at, seen or not. */
    isNews: (item: Database.Watched | typeof beat): boolean =>
      item._tag === "Changed" || (item._tag === "Position" && item.resumeToken["_data"] !== place?.["_data"]),
    tell: (item: Database.Watched | typeof beat): ReadonlyArray<Watched> => {
      if (item._tag === "Changed") return event(item.event)
      if (item._tag === "Beat") return position()
      place = item.resumeToken
      isTold = false
      if (isOpen) return []
      isOpen = true
      return position()
    }
  }
}

/** For so many milliseconds the answer of a function holds, when there is nothing to tell meanwhile. */
const lifeOfAnswers = 1000

/**
 * The changes that are wanted, and places in between: the first one at once, later ones with a beat when nothing was told
 * since, so that a watch that is resumed has little to look at again.
 *
 * Before anything is told it is asked who the user is now. When the rules see another in him, what was seen for his former
 * self is seen anew, from the last place on. Functions in rules are asked anew for whatever comes.
 *
 * @param options.caller whoever watches, as he is now; fails when he may watch no longer
 * @param options.collection the collection as he sees it
 */
export const changes = <E>(wanted: Wanted, options: {
  readonly caller: Effect.Effect<Caller, E>
  readonly collection: (caller: Caller, ask: RuleFunctions.Ask) => Database.Collection<Refusal>
}): Stream.Stream<Watched, E | DatabaseError | RealmError.DataError, Functions> =>
  Stream.unwrap(Effect.gen(function*() {
    const clock = yield* Clock.clockWith(Effect.succeed)
    const teller = makeTeller(wanted, yield* parse(wanted.filter))

    let answers = RuleFunctions.makeAnswers()
    let answeredAt = 0
    const ask: RuleFunctions.Ask = (name, args) => {
      if (clock.currentTimeMillisUnsafe() - answeredAt > lifeOfAnswers) answers = RuleFunctions.makeAnswers()
      return answers.ask(name, args)
    }
    const learn = (caller: Caller, question: Unanswered) =>
      Effect.map(answers.learn(caller, question), () => {
        answeredAt = clock.currentTimeMillisUnsafe()
      })

    /** What one access sees, until that is outdated or lacks an answer. */
    const seen = Stream.unwrap(Effect.map(options.caller, (caller) => {
      const self = fingerprint(caller)
      return options.collection(caller, ask).watch({ resumeAfter: teller.place() }).pipe(
        Stream.merge(beats, { haltStrategy: "left" }),
        Stream.chunks,
        Stream.mapEffect((items) =>
          Effect.flatMap(options.caller, (now) => {
            if (fingerprint(now) !== self) return Effect.fail(new Outdated())
            if (items.some(teller.isNews)) answers = RuleFunctions.makeAnswers()
            return Effect.succeed(items.flatMap(teller.tell))
          })
        ),
        Stream.flattenIterable,
        Stream.catch((error) => {
          if (error instanceof Outdated) return Stream.empty
          return error instanceof Unanswered
            ? Stream.drain(Stream.fromEffect(learn(caller, error)))
            : Stream.fail(error)
        })
      )
    }))
    return Stream.forever(seen)
  }))
