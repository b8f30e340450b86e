/** A process that shares sessions with others: it does what its parent says, one thing after the other. */
import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Place from "./place.ts"

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
  /** What has been told since the process began to listen. */
  | { readonly _tag: "Told" }

export interface Options {
  readonly place: Place.Place
  readonly baseUrl: string
  /** How wrong the clock of this process is, in milliseconds. */
  readonly skew: number
  /** How long a lease lasts whose holder died, in milliseconds, where it is not what everybody else has. */
  readonly lease?: number
}

const options: Options = JSON.parse(process.argv[2] ?? "")
const app = App.make({ id: "shop-abcde", baseUrl: options.baseUrl })
const userOf = (id: string) => new User.User({ appId: app.id, baseUrl: app.baseUrl, id })

// The clock is set wrong for everything that reads it; time passes as ever.
const now = Date.now
Date.now = () => now() + options.skew

const place = Place.layer(options.place)

const runtime = ManagedRuntime.make(
  Layer.mergeAll(
    Layer.provide(
      TokenStore.layerStorage,
      options.lease === undefined ? place : Place.forgetful(place, options.lease)
    ),
    FetchHttpClient.layer
  )
)

const told: Array<string> = []

const run = (
  command: Command
): Effect.Effect<unknown, unknown, HttpClient.HttpClient | TokenStore.TokenStore> => {
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
        () =>
          Effect.match(User.callFunction(userOf(command.userId), "sum", [1, 2]), {
            onSuccess: () => "ok",
            onFailure: (error) =>
              error._tag === "NotLoggedInError" ? error.state : "reason" in error ? error.reason._tag : error._tag
          }),
        { concurrency: "unbounded" }
      )
    case "LogOut":
      return Effect.as(User.logOut(userOf(command.userId)), "ok")
    case "Look":
      return TokenStore.TokenStore.use((store) =>
        Effect.map(
          store.get({ appId: app.id, userId: command.userId }),
          Option.match({
            onNone: () => "none",
            onSome: ({ generation, tokens }) =>
              tokens === undefined ? "out" : `in ${generation} ${Redacted.value(tokens.refreshToken)}`
          })
        )
      )
    case "Generation":
      return TokenStore.TokenStore.use((store) =>
        Effect.map(
          store.get({ appId: app.id, userId: command.userId }),
          Option.match({ onNone: () => 0, onSome: ({ generation }) => generation })
        )
      )
    case "Told":
      return Effect.sync(() => told)
  }
}

await runtime.runPromise(Clock.currentTimeMillis)
runtime.runFork(Stream.runForEach(App.events(app), (event) =>
  Effect.sync(() => {
    told.push(event._tag === "Snapshot" ? "Snapshot" : `${event.generation} ${event._tag}`)
    if (told.length === 1) process.send?.({ ready: true })
  })))

process.on("message", ({ command, id }: { readonly id: number; readonly command: Command }) => {
  void runtime.runPromiseExit(run(command)).then((exit) => {
    process.send?.({ id, answer: exit._tag === "Success" ? exit.value : String(exit) })
  })
})
process.on("disconnect", () => process.exit())
