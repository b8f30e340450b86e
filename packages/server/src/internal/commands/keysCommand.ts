/**
 * `effect-realm keys`: the keys with which programs of one's own log in.
 */
import * as Argument from "effect/cli/Argument"
import { make as makeCommand, withDescription, withSubcommands } from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Accounts from "../../Accounts.ts"
import * as ApiKeys from "../../ApiKeys.ts"
import * as Database from "../../Database.ts"
import * as Sessions from "../../Sessions.ts"
import * as AppIds from "../appIds.ts"
import * as ServerKeys from "../serverKeys.ts"
import { appWithDatabase, type CliFailure, databaseFile, failure, folder, type Place } from "./commandLine.ts"

const keyName = Argument.String("key").pipe(Argument.withDescription("Name or id of a key"))

/** What is done to the keys of an app's own programs: in the database, or by the server that has it. */
const withKeys = <A>(
  place: Place,
  use: (keys: ServerKeys.ServerKeys) => Effect.Effect<A, ServerKeys.ServerKeysError>
): Effect.Effect<A, CliFailure, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const app = yield* appWithDatabase(place)
    if (app.authProviders.apiKey?.enabled !== true) {
      yield* Console.error("warning: the app's api-key provider is not enabled: log-ins with keys are refused")
    }
    const { appId } = app
    const ids = AppIds.make(appId)
    const keys = ApiKeys.layer(ids).pipe(
      Layer.provide(Sessions.layer(ids)),
      Layer.provide(Accounts.layer(ids)),
      Layer.provide(Database.layerUrl(place.database))
    )
    return yield* Effect.flatMap(ServerKeys.ofDatabase, use).pipe(
      Effect.provide(keys),
      Effect.catchReason("DatabaseError", "Locked", ({ filename }, { message }) =>
        ServerKeys.withServer({ appId, filename, otherwise: message }, use)),
      Effect.mapError((error) =>
        failure(error.message)
      )
    )
  })

const createKey = makeCommand(
  "create",
  { folder, name: Argument.String("name"), database: databaseFile },
  ({ name, ...options }) =>
    withKeys(options, (keys) =>
      Effect.gen(function*() {
        const { id, key } = yield* keys.create(name)
        // The secret alone, for whoever passes it on; the rest is for the person at the keyboard.
        yield* Console.log(Redacted.value(key))
        yield* Console.error(`This is the key ${name}, with the id ${id}. It is not shown again.`)
      }))
).pipe(withDescription("Make a key, and print its secret this once"))

const listKeys = makeCommand(
  "list",
  { folder, database: databaseFile },
  (options) =>
    withKeys(options, (keys) =>
      Effect.flatMap(keys.list, (found) =>
        Effect.forEach(
          found,
          ({ disabled, id, name }) => Console.log(`${id}  ${disabled ? "disabled" : "enabled "}  ${name}`),
          { discard: true }
        )))
).pipe(withDescription("List the keys by id, without their secrets"))

const changeKey = (change: ServerKeys.Change, description: string) =>
  makeCommand(
    change,
    { folder, key: keyName, database: databaseFile },
    ({ key, ...options }) =>
      withKeys(options, (keys) =>
        Effect.flatMap(keys.change(change, key), (name) => Console.log(`The key ${name} is ${change}d.`)))
  ).pipe(withDescription(description))

export const keysCommand = makeCommand("keys").pipe(
  withDescription("Keys with which programs of your own log in, each as a user of its own"),
  withSubcommands([
    createKey,
    listKeys,
    changeKey("enable", "Let a disabled key log in again"),
    changeKey("disable", "Refuse a key, and end its sessions"),
    changeKey("delete", "Delete a key, its sessions and its user")
  ])
)
