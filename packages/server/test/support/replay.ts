/**
 * Random writes to a collection, and a copy of it that is kept by nothing but what a watch tells.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert } from "@effect/vitest"
import { EJSON } from "bson"
import { Arbitrary, Effect, Fiber, Option, Result, Stream } from "effect"
import { among, arbitraryDocuments, arbitraryFilter, arbitraryValue, oneOf } from "./documents.ts"

type Collection = DatabaseModule.Collection<string>
type Document = DatabaseModule.Document

/** A write, whatever becomes of it. */
type Write = (collection: Collection) => Effect.Effect<unknown, DatabaseError | string>

const id = among([0, 1, 2, 3, 4, 5])

const update = oneOf<DatabaseModule.UpdateOperators>([
  Arbitrary.map(Arbitrary.all([among(["a", "b", "a.x", "b.y", "seen"]), arbitraryValue]), ([path, value]) => ({
    $set: { [path]: value }
  })),
  Arbitrary.map(among(["a", "b", "a.x", "seen"]), (path) => ({ $unset: { [path]: "" } })),
  Arbitrary.map(among(["a", "b", "n"]), (path) => ({ $inc: { [path]: 1 } })),
  Arbitrary.map(Arbitrary.all([among(["a", "b", "list"]), arbitraryValue]), ([path, value]) => ({
    $push: { [path]: value }
  })),
  Arbitrary.map(among(["a", "b", "list"]), (path) => ({ $pop: { [path]: -1 } })),
  Arbitrary.map(among(["a", "list"]), (path) => ({ $push: { [path]: { $each: [1], $slice: 1 } } }))
])

const document: Arbitrary.Arbitrary<Document> = Arbitrary.map(
  Arbitrary.all([arbitraryDocuments, id, among([true, false])]),
  ([[first], _id, seen]) => ({ ...first, _id, seen })
)

const upsert = among([true, false])

const bulk: Arbitrary.Arbitrary<DatabaseModule.BulkOperation> = oneOf<DatabaseModule.BulkOperation>([
  Arbitrary.map(document, (document) => ({ insertOne: { document } })),
  Arbitrary.map(Arbitrary.all([id, update, upsert]), ([_id, update, upsert]) => ({
    updateOne: { filter: { _id }, update, upsert }
  })),
  Arbitrary.map(Arbitrary.all([arbitraryFilter, update]), ([filter, update]) => ({ updateMany: { filter, update } })),
  Arbitrary.map(Arbitrary.all([id, document, upsert]), ([_id, { _id: _, ...replacement }, upsert]) => ({
    replaceOne: { filter: { _id }, replacement, upsert }
  })),
  Arbitrary.map(id, (_id) => ({ deleteOne: { filter: { _id } } })),
  Arbitrary.map(arbitraryFilter, (filter) => ({ deleteMany: { filter } }))
])

const write: Arbitrary.Arbitrary<Write> = oneOf<Write>([
  Arbitrary.map(document, (document): Write => (collection) => collection.insertOne(document)),
  Arbitrary.map(
    Arbitrary.array(document, { maxLength: 3 }),
    (documents): Write => (collection) => collection.insertMany(documents, { ordered: false })
  ),
  Arbitrary.map(
    Arbitrary.all([id, update, upsert]),
    ([_id, update, upsert]): Write => (collection) => collection.updateOne({ _id }, update, { upsert })
  ),
  Arbitrary.map(
    Arbitrary.all([arbitraryFilter, update]),
    ([filter, update]): Write => (collection) => collection.updateMany(filter, update)
  ),
  Arbitrary.map(
    Arbitrary.all([id, document, upsert]),
    ([_id, { _id: _, ...replacement }, upsert]): Write => (collection) =>
      collection.replaceOne({ _id }, replacement, { upsert })
  ),
  Arbitrary.map(id, (_id): Write => (collection) => collection.deleteOne({ _id })),
  Arbitrary.map(arbitraryFilter, (filter): Write => (collection) => collection.deleteMany(filter)),
  Arbitrary.map(
    Arbitrary.all([arbitraryFilter, update, upsert]),
    ([filter, update, upsert]): Write => (collection) =>
      collection.findOneAndUpdate({ ...filter, _id: { $lte: 2 } }, update, { upsert, sort: { _id: -1 } })
  ),
  Arbitrary.map(
    Arbitrary.all([id, document]),
    ([_id, { _id: _, ...replacement }]): Write => (collection) =>
      collection.findOneAndReplace({ _id }, replacement, { returnDocument: "after" })
  ),
  Arbitrary.map(id, (_id): Write => (collection) => collection.findOneAndDelete({ _id })),
  Arbitrary.map(
    Arbitrary.all([Arbitrary.array(bulk, { maxLength: 6 }), among([true, false])]),
    ([operations, ordered]): Write => (collection) => collection.bulkWrite(operations, { ordered })
  )
])

/** Writes, after each of which the watch is cut or not, and how far back it resumes then. */
export const arbitraryHistory: Arbitrary.Arbitrary<
  ReadonlyArray<{ readonly writes: ReadonlyArray<Write>; readonly back: number }>
> = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.all([Arbitrary.array(write, { maxLength: 6 }), among([0, 0, 1, 3, 10])]),
    ([writes, back]) => ({ writes, back })
  ),
  { minLength: 1, maxLength: 4 }
)

type History = typeof arbitraryHistory extends Arbitrary.Arbitrary<infer A> ? A : never

/** Sees documents of which `seen` is true, without their field `b`, however deep. */
export const halfSighted: DatabaseModule.Access<string> = {
  scope: { seen: { $ne: null } },
  see: (document) =>
    Result.succeed(
      document["seen"] === true
        ? Option.some(Object.fromEntries(Object.entries(document).filter(([name]) => name !== "b")))
        : Option.none()
    )
}

/** A copy and the place in the history that it is of. */
interface Copy {
  readonly token: DatabaseModule.ResumeToken
  /** By their identifiers as texts. */
  readonly documents: ReadonlyMap<string, Document>
}

const text = (document: unknown): string => EJSON.stringify(document, { relaxed: false })

/** The copy after a change, which has to fit the copy before it. */
const replayed = (documents: Copy["documents"], event: DatabaseModule.ChangeEvent): Copy => {
  const key = text(event.documentKey)
  const current = documents.get(key)
  const next = new Map(documents)
  if (event.operationType === "insert") assert.ok(current === undefined, "inserted twice")
  else assert.strictEqual(text(event.fullDocumentBeforeChange), text(current))
  if (event.operationType === "delete") next.delete(key)
  else next.set(key, event.fullDocument)
  return { token: event.resumeToken, documents: next }
}

const assertSame = (copy: Copy | undefined, found: ReadonlyArray<Document>): void =>
  assert.deepStrictEqual([...copy?.documents.values() ?? []].map(text).toSorted(), found.map(text).toSorted())

/**
 * Follows a watch from a copy on, or from now and nothing, until it is told of the document `until`; returns the copies on
 * the way.
 */
const follow = (
  collection: Collection,
  from: Copy | undefined,
  until: unknown,
  pause: Effect.Effect<unknown> = Effect.void
): Effect.Effect<ReadonlyArray<Copy>, DatabaseError | string> =>
  collection.watch({ resumeAfter: from?.token }).pipe(
    Stream.tap(() => pause),
    Stream.takeUntil((watched) =>
      watched._tag === "Changed" && watched.event.operationType === "insert" && watched.event.documentKey._id === until
    ),
    Stream.runFold(
      (): ReadonlyArray<Copy> => from === undefined ? [] : [from],
      (copies, watched) => {
        const last = copies.at(-1)?.documents ?? new Map<string, Document>()
        return [
          ...copies,
          watched._tag === "Changed"
            ? replayed(last, watched.event)
            : { token: watched.resumeToken, documents: last }
        ]
      }
    )
  )

/**
 * Follows a collection while it is written, by readers who wait for each change and by slower ones. At the end the copy of
 * each has to be what `find` answers him.
 */
export const replayLive = (
  history: History,
  namespace: DatabaseModule.Namespace
): Effect.Effect<boolean, DatabaseError | string, Database> =>
  Effect.gen(function*() {
    const database = yield* Database
    const whole = database.collection<string>(namespace, { numbers: "exact" })
    const readers = [{}, halfSighted].flatMap((access) =>
      [0, 1, 5].map((pauses) => ({ collection: database.collection(namespace, { numbers: "exact", access }), pauses }))
    )
    const following = yield* Effect.forEach(readers, ({ collection, pauses }) =>
      Effect.forkChild(
        follow(collection, undefined, "the end", Effect.repeat(Effect.yieldNow, { times: pauses })),
        { startImmediately: true }
      ))
    for (const { back, writes } of history) {
      for (const write of writes) yield* Effect.ignore(write(whole))
      yield* Effect.repeat(Effect.yieldNow, { times: back })
    }
    yield* whole.insertOne({ _id: "the end", seen: true })
    for (const [index, fiber] of following.entries()) {
      assertSame((yield* Fiber.join(fiber)).at(-1), yield* readers[index]?.collection.find({}) ?? Effect.succeed([]))
    }
    return true
  })

/**
 * Replays a history over a copy: as each part of it is written, the copy has to be what `find` answers, and so from any
 * place before it.
 *
 * @param within runs a part of the history, with the database as the parts before have left it
 */
export const replay = <E>(
  history: History,
  namespace: DatabaseModule.Namespace,
  access: DatabaseModule.Access<string>,
  within: <A>(part: Effect.Effect<A, DatabaseError | string, Database>) => Effect.Effect<A, E>
): Effect.Effect<boolean, E> =>
  Effect.gen(function*() {
    const beginning = yield* within(Effect.gen(function*() {
      const database = yield* Database
      const collection = database.collection(namespace, { numbers: "exact", access })
      // it comes into being, so that it is recorded while nobody watches
      yield* collection.createIndex({ a: 1 })
      const [first] = yield* Stream.runCollect(Stream.take(collection.watch(), 1))
      return first?._tag === "Position" ? first.resumeToken : assert.fail("a watch begins with a position")
    }))
    let copies: ReadonlyArray<Copy> = [{ token: beginning, documents: new Map() }]
    for (const [part, { back, writes }] of history.entries()) {
      copies = yield* within(Effect.gen(function*() {
        const database = yield* Database
        const whole = database.collection<string>(namespace, { numbers: "exact" })
        const mine = database.collection(namespace, { numbers: "exact", access })
        for (const write of writes) yield* Effect.ignore(write(whole))
        yield* whole.insertOne({ _id: `part ${part}`, seen: true })
        const from = copies.at(-1 - back) ?? copies[0] ?? assert.fail("no copy")
        const followed = yield* follow(mine, from, `part ${part}`)
        assertSame(followed.at(-1), yield* mine.find({}))
        return followed
      }))
    }
    return true
  })
