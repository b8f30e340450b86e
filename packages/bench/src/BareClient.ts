/**
 * The bare clients beneath the places: each does what ours did, command by command, and makes nothing of the answers.
 */
import { TokenStore } from "@effect-realm/client"
import * as RedisSessionStorage from "@effect-realm/stores/RedisSessionStorage"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Redis from "effect/persistence/Redis"
import type * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql/SqlClient"
import { CurrentTransformer } from "effect/sql/Statement"
import { mkdir, open, readFile, rename } from "node:fs/promises"
import { join } from "node:path"
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import * as Place from "./Place.ts"
import * as SampleSession from "./SampleSession.ts"
import type * as StoreRows from "./StoreRows.ts"

export type BareClient = StoreRows.Peer

const recorded = "recorded"

/** The number of new users who have come. */
const counter = () => {
  let users = 0
  return () => `bare ${users++}`
}

// -----------------------------------------------------------------------------
// SQL
// -----------------------------------------------------------------------------

interface Command {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
}

/** What ours sends to a SQL database: to read a session, and to write one, which is a transaction. */
interface Recording {
  readonly read: Command
  readonly transaction: ReadonlyArray<Command>
  /** The number that the write took. */
  readonly number: number
}

const record = Effect.fnUntraced(function*(store: TokenStore.TokenStore["Service"]) {
  const commands = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      const all: Array<Command> = []
      const noting = Effect.provideService(effect, CurrentTransformer, (statement) =>
        Effect.sync(() => {
          const [text, params] = statement.compile()
          all.push({ text, params })
          return statement
        }))
      return Effect.as(noting, all)
    })
  // Numbers that are taken by others, so that the recorded one is like no other parameter.
  for (const user of ["one", "two", "three"]) yield* SampleSession.logIn(store, user)
  const transaction = yield* commands(SampleSession.logIn(store, recorded))
  const [read] = yield* commands(store.get(SampleSession.key(recorded)))
  const { generation } = yield* SampleSession.found(store, recorded)
  const recording: Recording = { read: read!, transaction, number: generation }
  return recording
}, Effect.orDie)

/** The parameters of a command when another user writes under another number. */
const replaced = (params: ReadonlyArray<unknown>, { number }: Recording, userId: string, taken: number) =>
  params.map((param) =>
    param === number ? taken : typeof param === "string" ? param.replaceAll(recorded, userId) : param
  )

const sqlite = (database: DatabaseSync, recording: Recording): BareClient => {
  const run = ({ params, text }: Command) => {
    const statement = database.prepare(text)
    // They are what our own client has handed to this driver.
    return (taken: ReadonlyArray<unknown> = params) => statement.all(...taken as ReadonlyArray<SQLInputValue>)
  }
  const read = run(recording.read)
  const transaction = recording.transaction.map((command) => ({ params: command.params, run: run(command) }))
  const next = counter()
  return {
    name: "bare `node:sqlite`",
    read: Effect.sync(() => read()),
    write: Effect.sync(() => {
      const userId = next()
      database.exec("BEGIN IMMEDIATE")
      let number = 0
      for (const { params, run } of transaction) {
        const [row] = run(replaced(params, recording, userId, number))
        if (number === 0) number = Number(row?.["number"])
      }
      database.exec("COMMIT")
    })
  }
}

const postgres = (sql: SqlClient, recording: Recording): BareClient => {
  const next = counter()
  const run = ({ params, text }: Command, userId: string, taken: number) =>
    sql.unsafe<{ readonly number: unknown }>(text, replaced(params, recording, userId, taken))
  const { read, transaction } = recording
  return {
    name: "bare `PgClient`",
    read: Effect.orDie(sql.unsafe(read.text, read.params)),
    write: Effect.orDie(Effect.gen(function*() {
      const userId = next()
      yield* sql.withTransaction(Effect.gen(function*() {
        let number = 0
        for (const command of transaction) {
          const [row] = yield* run(command, userId, number)
          if (number === 0) number = Number(row?.number)
        }
      }))
    }))
  }
}

// -----------------------------------------------------------------------------
// Redis
// -----------------------------------------------------------------------------

const redis = Effect.fnUntraced(function*(path: string): Effect.fn.Return<BareClient, never, Scope.Scope> {
  const service = Context.get(yield* Layer.build(Place.redis(path)), Redis.Redis)
  const sent: Array<ReadonlyArray<string>> = []
  const noting = Redis.Redis.of({
    ...service,
    send: (command, ...args) =>
      Effect.suspend(() => {
        sent.push([command, ...args])
        return service.send(command, ...args)
      })
  })
  const layer = TokenStore.layerStorage.pipe(
    Layer.provide(RedisSessionStorage.layer),
    Layer.provide(Layer.succeed(Redis.Redis, noting))
  )
  const store = Context.get(yield* Layer.build(layer), TokenStore.TokenStore)
  const commands = Effect.fnUntraced(function*<A, E>(effect: Effect.Effect<A, E>) {
    sent.length = 0
    yield* Effect.orDie(effect)
    return sent.map(([command = "", ...args]) => (userId: string) =>
      service.send(command, ...args.map((arg) => arg.replaceAll(recorded, userId)))
    )
  })
  // Redis sees each script for the first time.
  yield* commands(Effect.andThen(SampleSession.logIn(store, "first"), SampleSession.found(store, "first")))
  const writing = yield* commands(SampleSession.logIn(store, recorded))
  const reading = yield* commands(store.get(SampleSession.key(recorded)))
  const next = counter()
  const inTurn = (all: typeof reading, userId: string) =>
    Effect.orDie(Effect.forEach(all, (command) => command(userId), { discard: true }))
  return {
    name: "bare `Redis` service",
    read: inTurn(reading, recorded),
    write: Effect.suspend(() => inTurn(writing, next()))
  }
})

// -----------------------------------------------------------------------------
// Others
// -----------------------------------------------------------------------------

const memory = (): BareClient => {
  const sessions = new Map<string, unknown>()
  const next = counter()
  sessions.set(recorded, SampleSession.session(recorded))
  return {
    name: "a `Map`",
    read: Effect.sync(() => sessions.get(recorded)),
    write: Effect.sync(() => {
      const userId = next()
      sessions.set(userId, SampleSession.session(userId))
    })
  }
}

const keyValueStore: Effect.Effect<BareClient, never, Scope.Scope> = Effect.gen(function*() {
  const store = Context.get(yield* Layer.build(KeyValueStore.layerMemory), KeyValueStore.KeyValueStore)
  const next = counter()
  const write = (userId: string) => store.set(userId, JSON.stringify(SampleSession.session(userId)))
  yield* Effect.orDie(write(recorded))
  return {
    name: "a bare `KeyValueStore`",
    read: Effect.orDie(store.get(recorded)),
    write: Effect.suspend(() => Effect.orDie(write(next())))
  }
})

const files = (directory: string): Effect.Effect<BareClient> =>
  Effect.promise(async () => {
    const folder = `${directory}-bare`
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const next = counter()
    const write = async (userId: string) => {
      const path = join(folder, userId)
      const file = await open(`${path}.new`, "w")
      await file.writeFile(JSON.stringify(SampleSession.session(userId)))
      await file.sync()
      await file.close()
      await rename(`${path}.new`, path)
    }
    await write(recorded)
    return {
      name: "one file, replaced and synchronised",
      read: Effect.promise(() => readFile(join(folder, recorded), "utf8")),
      write: Effect.promise(() => write(next()))
    }
  })

/** The bare client of a place, which is ready. */
export const make = Effect.fnUntraced(function*(
  place: Place.Place,
  store: TokenStore.TokenStore["Service"]
): Effect.fn.Return<BareClient, never, Scope.Scope> {
  switch (place._tag) {
    case "Memory":
      return memory()
    case "KeyValueStore":
      return yield* keyValueStore
    case "Sqlite":
      return sqlite(
        yield* Effect.acquireRelease(
          Effect.sync(() => new DatabaseSync(place.filename)),
          (database) => Effect.sync(() => database.close())
        ),
        yield* record(store)
      )
    case "Files":
      return yield* files(place.directory)
    case "Postgres":
      return postgres(Context.get(yield* Layer.build(Place.postgres(place.folder)), SqlClient), yield* record(store))
    case "Redis":
      return yield* redis(place.path)
  }
})
