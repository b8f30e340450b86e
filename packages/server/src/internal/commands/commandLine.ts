/**
 * What the commands of the program have in common: the app they are about, its database, and how they fail.
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as AppFolder from "../../AppFolder.ts"

/**
 * Why the program ends with exit code 1: one message for the person at the keyboard, printed already.
 *
 * ```ts
 * import * as Cli from "@effect-realm/server/Cli"
 * import { Effect } from "effect"
 *
 * const failure = await Effect.runPromise(Effect.flip(Cli.run(["check", "/no/such/folder"])))
 * failure instanceof Cli.CliFailure // => true
 * failure.message // => "/no/such/folder is not an exported app: there is no such folder"
 * ```
 */
export class CliFailure extends Schema.TaggedError<CliFailure>("@effect-realm/server/CliFailure")("CliFailure", {
  message: Schema.NonEmptyString
}) {}

export const failure = (message: string): CliFailure => new CliFailure({ message })

export const folder = Argument.String("app folder").pipe(
  Argument.withDescription("Folder of an app exported from App Services")
)

const databaseOf = (description: string) =>
  Flag.String("database").pipe(
    Flag.withDescription(`${description} (EFFECT_REALM_DATABASE, effect-realm.db)`),
    Flag.withFallbackConfig(Config.String("EFFECT_REALM_DATABASE")),
    Flag.withDefault("effect-realm.db")
  )

export const database = databaseOf("File, or URL such as file:app.db or memory:")

/** For a command that memory would be of no use to. */
export const databaseFile = databaseOf("File of the server's database")

/** Says what of an app is left aside. */
export const warn = (warnings: ReadonlyArray<AppFolder.Finding>): Effect.Effect<void> =>
  Effect.forEach(warnings, (warning) => Console.error(AppFolder.format(warning)), { discard: true })

/** The app in a folder. What is wrong with it and what is left aside is said together, so that one run tells all. */
export const load = (
  directory: string
): Effect.Effect<AppFolder.Loaded, CliFailure, FileSystem.FileSystem | Path.Path> =>
  directory === ""
    ? Effect.fail(failure("The app folder is empty. Give the path of an app exported from App Services."))
    : AppFolder.load(directory).pipe(
      Effect.tapError(({ reason }) =>
        reason._tag === "Invalid"
          ? warn(reason.findings.filter(({ severity }) => severity === "warning"))
          : Effect.void
      ),
      Effect.mapError((error) => failure(error.message))
    )

/** What a command is about that works on the database itself. */
export interface Place {
  readonly folder: string
  readonly database: string
}

/** The app, and that its database is one that stays. */
export const appWithDatabase = Effect.fnUntraced(function*({ database, folder }: Place) {
  const { app } = yield* load(folder)
  if (database === "" || database.startsWith("memory:")) {
    return yield* failure("The app's users and keys are kept in the server's database. Give its file by --database.")
  }
  return app
})
