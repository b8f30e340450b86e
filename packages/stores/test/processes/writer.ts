/** A process that writes sessions to a directory, one after the other, and prints what came of each. */
import { SessionStorage } from "@effect-realm/client/SessionStorage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FileSessionStorage from "../../src/FileSessionStorage.ts"

export interface Options {
  readonly directory: string
  readonly appId: string
  /** How long the record of each user is. */
  readonly lengths: Readonly<Record<string, number>>
  /** Whom the process is to be, when it is the superuser. */
  readonly uid?: number
}

const { appId, directory, lengths, uid }: Options = JSON.parse(process.argv[2] ?? "")
if (uid !== undefined) {
  process.setgid?.(uid)
  process.setuid?.(uid)
}

const write = ([userId, length]: [string, number]) =>
  SessionStorage.use((storage) =>
    storage.write({ appId, userId }, {
      expected: 0,
      since: Option.none(),
      record: Option.some("x".repeat(length)),
      isLoggedIn: true,
      makeCurrent: true,
      isAnonymous: false,
      deviceId: Option.none(),
      event: "{}"
    })
  ).pipe(Effect.match({
    onSuccess: ({ _tag }) => _tag,
    onFailure: (error) => `${error.reason._tag}: ${error.message}`
  }))

const program = Effect.forEach(Object.entries(lengths), write).pipe(
  Effect.provide(FileSessionStorage.layer({ directory })),
  Effect.catch((error) => Effect.succeed([`${error.reason._tag}: ${error.message}`]))
)
process.stdout.write(JSON.stringify(await Effect.runPromise(program)))
