/**
 * Who works on which connection to the database, and when: operations as effects that keep the thread for no longer than a
 * slice. The choices are explained in `docs/decisions/operations-in-slices.md`.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Retention } from "./changeLog.ts"
import { Pool } from "./pool.ts"
import { type Kind, Slices } from "./slices.ts"
import type { Collections } from "./sqliteDocuments.ts"
import type { SqliteFile } from "./sqliteFile.ts"
import { SqliteReader } from "./sqliteReader.ts"
import { SqliteStore } from "./sqliteStore.ts"
import { end, type Work } from "./work.ts"
import type { WriteAheadLog } from "./writeAheadLog.ts"

// each keeps pages of the file in memory
const maxReaders = 8

type Settle<A> = (result: Result.Result<A, unknown>) => void

/** Gives an operation up. */
type Stop = () => void

/** Connections of one kind, each for one operation at a time. */
interface Line<Connection> {
  readonly pool: Pool<Connection>
  readonly kind: Kind
  /** Lets what the operation sees stay as it is over its pauses. */
  readonly hold: (connection: Connection) => void
  readonly release: (connection: Connection) => void
}

interface Readers extends Line<SqliteReader> {
  /** For reads that end at once, while all of the pool are taken by those that do not. */
  readonly spare: () => SqliteReader
}

export class Connections {
  readonly #slices: Slices
  readonly #store: SqliteStore
  /** The one that writes. */
  readonly #main: Line<SqliteStore>
  /** None where the database has one connection. */
  readonly #readers: Readers | undefined
  readonly #log: WriteAheadLog | undefined
  readonly #opened: Array<SqliteReader> = []
  /** Ends the operations that are under way. */
  readonly #underWay = new Set<Stop>()
  #isClosed = false

  /** @param sliceLength in milliseconds */
  constructor({ database, filename, shared }: SqliteFile, retention: Retention, sliceLength: number) {
    const store = new SqliteStore(database, filename, retention)
    this.#slices = new Slices(sliceLength)
    this.#store = store
    // nobody else changes what it sees
    this.#main = { pool: new Pool(() => store, 1), kind: "alone", hold: () => {}, release: () => {} }
    if (shared === undefined) return
    this.#log = shared.log
    const make = () => {
      const reader = new SqliteReader(shared.openReader(), filename, store)
      this.#opened.push(reader)
      return reader
    }
    let spare: SqliteReader | undefined
    this.#readers = {
      pool: new Pool(make, maxReaders),
      kind: "beside",
      hold: (reader) => reader.hold(),
      release: (reader) => reader.release(),
      spare: () => spare ??= make()
    }
  }

  /**
   * Does work on the collections as they are now, whatever is written meanwhile. It may be begun anew, so it does nothing but
   * look.
   *
   * @param failed what the operation fails with for what was thrown
   */
  read<A, E>(read: (collections: Collections) => Work<A>, failed: (error: unknown) => E): Effect.Effect<A, E> {
    const readers = this.#readers
    return readers === undefined
      ? this.#operation(failed, (settle) => this.#inTurn(this.#main, read, settle))
      : this.#operation(failed, (settle) => {
        const onReader = (reader: SqliteReader) => read(reader.refreshed)
        if (readers.pool.isFree) return this.#inTurn(readers, onReader, settle)
        const work = begun(onReader, readers.spare())
        const result = this.#slices.advance(work)
        if (result === undefined) {
          end(work)
          return this.#inTurn(readers, onReader, settle)
        }
        settle(result)
      })
  }

  /** Does work that writes, when all that began to write before it has ended. */
  write<A, E>(write: (store: SqliteStore) => Work<A>, failed: (error: unknown) => E): Effect.Effect<A, E> {
    return this.#operation(failed, (settle: Settle<A>) =>
      this.#inTurn<SqliteStore, A>(this.#main, write, (result) => {
        settle(result)
        this.#log?.look()
      }))
  }

  /** Does something while nothing is written, when all that began to write before has ended. */
  alone<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const { pool } = this.#main
      let taken = pool.take()
      const turn = taken === undefined
        ? Effect.callback<void>((resume) => {
          const stop = pool.wait((given) => {
            taken = given
            resume(Effect.void)
          })
          return Effect.sync(stop)
        })
        : Effect.void
      return Effect.ensuring(
        Effect.andThen(turn, effect),
        Effect.sync(() => {
          if (taken !== undefined) pool.give(taken)
        })
      )
    })
  }

  /** Ends all watches and all that is under way, which changes nothing then: the database is about to be closed. */
  close(): void {
    this.#isClosed = true
    this.#store.endWatches()
    for (const stop of this.#underWay) stop()
    for (const reader of this.#opened) reader.close()
  }

  /** @param start begins, and returns what gives the operation up unless it has ended at once */
  #operation<A, E>(
    failed: (error: unknown) => E,
    start: (settle: Settle<A>) => Stop | undefined
  ): Effect.Effect<A, E> {
    return Effect.callback((resume) => {
      let close: Stop | undefined
      let isSettled = false
      const settle: Settle<A> = (result) => {
        isSettled = true
        if (close !== undefined) this.#underWay.delete(close)
        resume(Result.isSuccess(result) ? Effect.succeed(result.success) : Effect.fail(failed(result.failure)))
      }
      let stop: Stop | undefined
      try {
        if (this.#isClosed) throw closed()
        stop = start(settle)
      } catch (error) {
        settle(Result.fail(error))
      }
      if (stop === undefined || isSettled) return
      const giveUp = stop
      const ended = close = () => {
        giveUp()
        settle(Result.fail(closed()))
      }
      this.#underWay.add(ended)
      return Effect.sync(() => {
        this.#underWay.delete(ended)
        giveUp()
      })
    })
  }

  /** Work at once, if a connection is free, or else after those who wait for one already. */
  #inTurn<Connection, A>(
    line: Line<Connection>,
    start: (connection: Connection) => Work<A>,
    settle: Settle<A>
  ): Stop | undefined {
    const connection = line.pool.take()
    if (connection === undefined) {
      let stop = line.pool.wait((given) => {
        stop = this.#goOn(line, given, begun(start, given), settle)
      })
      return () => stop()
    }
    const work = begun(start, connection)
    const result = this.#slices.advance(work)
    if (result === undefined) return this.#goOn(line, connection, work, settle)
    line.pool.give(connection)
    settle(result)
  }

  #goOn<Connection, A>(
    { hold, kind, pool, release }: Line<Connection>,
    connection: Connection,
    work: Work<A>,
    settle: Settle<A>
  ): Stop {
    const leave = () => {
      try {
        release(connection)
      } finally {
        pool.give(connection)
      }
    }
    try {
      hold(connection)
    } catch (error) {
      end(work)
      pool.give(connection)
      settle(Result.fail(error))
      return () => {}
    }
    const stop = this.#slices.goOn(work, kind, (result) => {
      leave()
      settle(result)
    })
    return () => {
      try {
        stop()
      } finally {
        leave()
      }
    }
  }
}

/** Work whose beginning fails like the rest of it. */
const begun = <Connection, A>(start: (connection: Connection) => Work<A>, connection: Connection): Work<A> => {
  try {
    return start(connection)
  } catch (error) {
    return thrown(error)
  }
}

function* thrown(error: unknown): Work<never> {
  throw error
}

const closed = (): Error => new Error("it was closed")
