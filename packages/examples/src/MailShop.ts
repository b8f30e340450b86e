/**
 * A shop that confirms addresses and resets passwords by mail. Its mails stay in an outbox; in production `Mail.layerSmtp`
 * or `Mail.layerUrl` sends them.
 */
import { App } from "@effect-realm/client"
import { AppDefinition, Database, Listener, Mail } from "@effect-realm/server"
import * as Effect from "effect/Effect"
import type * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"

const definition = AppDefinition.make({
  appId: "letters-abcde",
  authProviders: {
    emailPassword: {
      emailConfirmationUrl: "https://shop.example/confirm",
      confirmEmailSubject: "Welcome to the shop",
      resetPasswordUrl: "https://shop.example/reset"
    }
  }
})

/** The app, as a client needs it. */
export const app: Effect.Effect<App.App, never, HttpServer.HttpServer> = Effect.map(
  Listener.origin,
  (baseUrl) => App.make({ id: definition.appId, baseUrl })
)

/** What a page behind the link of a mail reads from its own address: the halves of the last link that was mailed. */
export const openLink: Effect.Effect<{ readonly token: string; readonly tokenId: string }, never, Mail.Outbox> = Mail
  .Outbox.use((outbox) =>
    Effect.map(outbox.sent, (mails) => {
      const { searchParams } = new URL(/^https:\S+$/m.exec(mails.at(-1)?.text ?? "")?.[0] ?? "https://shop.example")
      return { token: searchParams.get("token") ?? "", tokenId: searchParams.get("tokenId") ?? "" }
    })
  )

/** Opens the shop on this machine, with an outbox for its mails. */
export const layer: Layer.Layer<
  HttpServer.HttpServer | Mail.Outbox,
  Listener.ListenError | Database.DatabaseError
> = Listener.layer({ app: definition, host: "127.0.0.1" }).pipe(
  Layer.provide(Database.layerMemory),
  Layer.provideMerge(Mail.layerMemory)
)
