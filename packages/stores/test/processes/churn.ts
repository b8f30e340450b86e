/** A process that changes the users of an app in a directory, several at a time, until it is killed. */
import { SessionStorage } from "@effect-realm/client/SessionStorage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FileSessionStorage from "../../src/FileSessionStorage.ts"

export interface Options {
  readonly directory: string
  readonly appId: string
  readonly users: number
}

const { appId, directory, users }: Options = JSON.parse(process.argv[2] ?? "")

const change = SessionStorage.use((storage) =>
  Effect.gen(function*() {
    const key = { appId, userId: `user-${Math.floor(Math.random() * users)}` }
    const kind = Math.random()
    if (kind < 0.1) return yield* storage.depart(key)
    const { row } = yield* storage.read(key)
    yield* storage.write(key, {
      expected: Option.match(row, { onNone: () => 0, onSome: ({ generation }) => generation }),
      since: Option.none(),
      record: kind < 0.2 ? Option.none() : Option.some("x".repeat(300)),
      isLoggedIn: kind > 0.4,
      makeCurrent: kind > 0.7,
      isAnonymous: false,
      deviceId: Option.none(),
      event: JSON.stringify(kind < 0.2 ? "removed" : "written")
    })
  })
)

process.stdout.write("begun")
await Effect.forEach([1, 2, 3, 4], () => Effect.forever(change), { concurrency: 4 }).pipe(
  Effect.provide(FileSessionStorage.layer({ directory })),
  Effect.runPromise
)
