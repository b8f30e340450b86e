/** What a process, or a tab, that shares sessions with others does when it is told to. */
import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"

export type Command =
  | { readonly _tag: "LogIn" }
  /** Logs a user in whose id is known beforehand. */
  | { readonly _tag: "LogInAs"; readonly userId: string }
  /** Calls a function, many times at once, and answers how each went. */
  | { readonly _tag: "Call"; readonly userId: string; readonly times: number }
  | { readonly _tag: "LogOut"; readonly userId: string }
  /** What is in the store of a user: `none`, `out`, or the generation and the refresh token. */
  | { readonly _tag: "Look"; readonly userId: string }
  /** The generation of a user's record. */
  | { readonly _tag: "Generation"; readonly userId: string }
  /** Who is the current user, and who this is to the server, many times one after the other. */
  | { readonly _tag: "WhoAmI"; readonly times: number }
  /** What has been told since the process began to listen. */
  | { readonly _tag: "Told" }

/** What one process does, one thing after the other or many at once. */
export interface Actor {
  readonly run: (command: Command) => Effect.Effect<unknown, unknown, HttpClient.HttpClient | TokenStore.TokenStore>
  /** Listens for as long as it runs. */
  readonly listen: (begun: () => void) => Effect.Effect<void, unknown, TokenStore.TokenStore>
}

export const make = (baseUrl: string): Actor => {
  const app = App.make({ id: "shop-abcde", baseUrl })
  const userOf = (id: string) => new User.User({ appId: app.id, baseUrl: app.baseUrl, id })
  const told: Array<string> = []

  const session = (userId: string) => TokenStore.TokenStore.use((store) => store.get({ appId: app.id, userId }))

  const outcome = <A, R>(call: Effect.Effect<A, User.CallFunctionError, R>) =>
    Effect.match(call, {
      onSuccess: () => "ok",
      onFailure: (error) =>
        error._tag === "NotLoggedInError" ? error.state : "reason" in error ? error.reason._tag : error._tag
    })

  const run: Actor["run"] = (command) => {
    switch (command._tag) {
      case "LogIn":
        return Effect.map(App.logIn(app, Credentials.anonymous({ reuse: false })), (user) => user.id)
      case "LogInAs":
        return Effect.map(
          App.logIn(app, Credentials.emailPassword({ email: command.userId, password: Redacted.make("of the test") })),
          (user) => user.id
        )
      case "Call":
        return Effect.forEach(
          Array.from({ length: command.times }),
          () => outcome(User.callFunction(userOf(command.userId), "sum", [1, 2])),
          { concurrency: "unbounded" }
        )
      case "LogOut":
        return Effect.as(User.logOut(userOf(command.userId)), "ok")
      case "Look":
        return Effect.map(
          session(command.userId),
          Option.match({
            onNone: () => "none",
            onSome: ({ generation, tokens }) =>
              tokens === undefined ? "out" : `in ${generation} ${Redacted.value(tokens.refreshToken)}`
          })
        )
      case "Generation":
        return Effect.map(
          session(command.userId),
          Option.match({ onNone: () => 0, onSome: ({ generation }) => generation })
        )
      case "WhoAmI":
        return Effect.forEach(Array.from({ length: command.times }), () =>
          Effect.gen(function*() {
            const user = Option.getOrThrow(yield* App.currentUser(app))
            return [user.id, yield* User.callFunction(user, "whoami", [])]
          }))
      case "Told":
        return Effect.sync(() => told)
    }
  }

  return {
    run,
    listen: (begun) =>
      Stream.runForEach(App.events(app), (event) =>
        Effect.sync(() => {
          told.push(event._tag === "Snapshot" ? "Snapshot" : `${event.generation} ${event._tag}`)
          if (told.length === 1) begun()
        }))
  }
}
