/**
 * `effect-realm users`: users of App Services, taken over with their ids.
 */
import * as Argument from "effect/cli/Argument"
import { make as makeCommand, withDescription, withSubcommands } from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as Accounts from "../../Accounts.ts"
import type { AppDefinition } from "../../AppDefinition.ts"
import * as AppFolder from "../../AppFolder.ts"
import * as Database from "../../Database.ts"
import * as EmailAccounts from "../../EmailAccounts.ts"
import * as Password from "../../Password.ts"
import * as UserImport from "../../UserImport.ts"
import * as AppIds from "../appIds.ts"
import { isProviderType, providerNames } from "../providers/providerNames.ts"
import { appWithDatabase, databaseFile, failure, folder } from "./commandLine.ts"

const file = Argument.String("file").pipe(
  Argument.withDescription("List of users from App Services' Admin API: a JSON array, or one object a line")
)

const why = ({ message, reason }: PlatformError): string => {
  switch (reason._tag) {
    case "NotFound":
      return "there is no such file"
    case "PermissionDenied":
      return "this user may not read it"
    case "BadResource":
      return "it is no file"
    default:
      return message
  }
}

/** The text of a file, as it is read. */
const textOf = (path: string) =>
  Stream.unwrap(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const decoder = new TextDecoder("utf-8", { fatal: true })
    const decode = (bytes?: Uint8Array) =>
      Effect.try({
        try: () => decoder.decode(bytes, { stream: bytes !== undefined }),
        catch: () => failure(`${path} is no UTF-8 text. Save it as UTF-8, and run the command again.`)
      })
    return fs.stream(path).pipe(
      Stream.mapError((error) => failure(`${path} cannot be read: ${why(error)}. Give a file with a list of users.`)),
      Stream.mapEffect(decode),
      Stream.concat(Stream.fromEffect(Effect.suspend(() => decode())))
    )
  }))

/** Whether somebody can log in by a provider, named as identities name it. */
const isEnabled = ({ authProviders }: AppDefinition, providerType: string): boolean =>
  isProviderType(providerType) && authProviders[providerNames[providerType]]?.enabled === true

const importUsers = makeCommand(
  "import",
  { folder, file, database: databaseFile },
  Effect.fnUntraced(function*({ file, ...place }) {
    const app = yield* appWithDatabase(place)
    const ids = AppIds.make(app.appId)
    const counts = { Added: 0, Present: 0, LeftOut: 0, Refused: 0 }
    /** How many log in so who were not here before. */
    const logIns = new Map<string, number>()

    const say = (line: number, severity: AppFolder.Finding["severity"], message: string) =>
      Console.error(AppFolder.format({ file, line, severity, message }))

    const tell = Effect.fnUntraced(function*(outcome: UserImport.Outcome, index: number) {
      counts[outcome._tag]++
      if (outcome._tag === "LeftOut") yield* say(outcome.line, "warning", `left out: ${outcome.message}`)
      if (outcome._tag === "Refused") yield* say(outcome.line, "error", outcome.message)
      if (outcome._tag === "Added") {
        for (const note of outcome.notes) yield* say(outcome.line, "warning", note)
        for (const { providerType } of outcome.user.identities) {
          logIns.set(providerType, (logIns.get(providerType) ?? 0) + 1)
        }
      }
      if ((index + 1) % 5_000 === 0) yield* Console.error(`${index + 1} entries of ${file} are done`)
    })

    const summary = Effect.suspend(() =>
      Console.log(
        `Taken over: ${counts.Added}. Here before: ${counts.Present}. ` +
          `Left out: ${counts.LeftOut}. Refused: ${counts.Refused}.`
      )
    )

    const accounts = Layer.mergeAll(
      Accounts.layer(ids),
      // Nobody registers and nobody resets here.
      EmailAccounts.layer({
        database: ids.database,
        confirmation: { _tag: "Automatic" },
        reset: { _tag: "Mail", send: () => Effect.void }
      }).pipe(Layer.provide(Password.layer()))
    ).pipe(Layer.provide(Database.layerUrl(place.database)))

    yield* UserImport.run({ appId: app.appId, list: textOf(file) }).pipe(
      Stream.zipWithIndex,
      Stream.runForEach(([outcome, index]) => tell(outcome, index)),
      Effect.provide(accounts),
      Effect.catchReason(
        "DatabaseError",
        "Locked",
        (_, { message }) =>
          Effect.fail(failure(`${message} A server has to be stopped while its users are taken over.`))
      ),
      Effect.mapError((error) => failure(error.message)),
      Effect.onInterrupt(() =>
        Effect.andThen(summary, Console.error("Interrupted. Run it again: who is here already stays."))
      )
    )

    yield* summary
    const resets = logIns.get(EmailAccounts.providerType)
    if (resets !== undefined) {
      yield* Console.error(`Taken over with an email address: ${resets}. Each resets the password before logging in.`)
    }
    for (const [type, count] of logIns) {
      if (type === "anon-user" || isEnabled(app, type)) continue
      yield* Console.error(
        `warning: taken over with ${type}: ${count}. The app does not have it enabled: nobody can log in so.`
      )
    }
    if (counts.Refused > 0) {
      return yield* failure(`${counts.Refused} refused. Mend what is said of them above, and run the command again.`)
    }
  })
).pipe(withDescription("Take users over with their ids, while the server is stopped"))

export const usersCommand = makeCommand("users").pipe(
  withDescription("Users who come from App Services"),
  withSubcommands([importUsers])
)
