/** A page of the client library. A log-in that went by way of a provider's page ends when the page is loaded. */
import { App, Collection, Credentials, EmailPassword, OAuth, type TokenStore, User } from "@effect-realm/client"
import { layerStorage } from "@effect-realm/client/TokenStore"
import * as IndexedDbSessionStorage from "@effect-realm/stores/IndexedDbSessionStorage"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

const runtime = ManagedRuntime.make(
  Layer.merge(Layer.provide(layerStorage, IndexedDbSessionStorage.layer), FetchHttpClient.layer)
)

/** What came of it, or the tags of the error. */
export type Answer<A> = { readonly value: A } | { readonly error: string }

interface Failure {
  readonly _tag: string
  readonly reason?: unknown
}

const answer = <A>(effect: Effect.Effect<A, Failure, HttpClient.HttpClient | TokenStore.TokenStore>) =>
  runtime.runPromise(Effect.match(effect, {
    onSuccess: (value): Answer<A> => ({ value }),
    onFailure: ({ _tag, reason }): Answer<A> => ({ error: [_tag, Reflect.get(Object(reason), "_tag")].join(" ") })
  }))

const appOf = (baseUrl: string) => App.make({ id: "shop-abcde", baseUrl })
const google: OAuth.Options = { provider: "google", redirectUri: `${location.origin}/signed-in` }

/** What a page keeps while its visitor is elsewhere. */
const Away = Schema.fromJsonString(Schema.Struct({ baseUrl: Schema.String, pending: OAuth.Pending }))

const leave = (baseUrl: string, { pending, url }: OAuth.Started<OAuth.Pending>) =>
  Effect.gen(function*() {
    sessionStorage.setItem("away", yield* Effect.orDie(Schema.encodeEffect(Away)({ baseUrl, pending })))
    location.assign(url)
  })

const comeBack = Effect.gen(function*() {
  const { href } = location
  history.replaceState(null, "", location.pathname)
  const { baseUrl, pending } = yield* Effect.orDie(Schema.decodeUnknownEffect(Away)(sessionStorage.getItem("away")))
  sessionStorage.removeItem("away")
  const app = appOf(baseUrl)
  const returned = yield* OAuth.parse(href, pending)
  const user = returned._tag === "ReturnedLogIn"
    ? yield* OAuth.logIn(app, returned)
    : yield* Effect.tap(currentUser(baseUrl), OAuth.link(returned))
  return yield* seen(user)
})

const currentUser = (baseUrl: string) => Effect.map(App.currentUser(appOf(baseUrl)), Option.getOrThrow)

/** Who a user is, to the page and to the server. */
const seen = (user: User.User) =>
  Effect.all({
    toPage: Effect.succeed(user.id),
    toServer: User.callFunction(user, "whoami", [], Schema.String),
    providers: Effect.map(User.identities(user), (identities) => identities.map(({ providerType }) => providerType))
  })

const Order = Schema.Struct({ _id: Schema.Int, total: Schema.Int })

const methods = {
  anonymous: (baseUrl: string) => answer(Effect.flatMap(App.logIn(appOf(baseUrl), Credentials.anonymous()), seen)),
  leaveToLogIn: (baseUrl: string) =>
    answer(Effect.flatMap(OAuth.start(appOf(baseUrl), google), (started) => leave(baseUrl, started))),
  leaveToLink: (baseUrl: string) =>
    answer(
      Effect.flatMap(currentUser(baseUrl), OAuth.startLink(google)).pipe(
        Effect.flatMap((started) => leave(baseUrl, started))
      )
    ),
  /** What the page that the visitor came back to has come to. */
  cameBack: location.hash === "" ? undefined : answer(comeBack),
  current: (baseUrl: string) => answer(Effect.flatMap(currentUser(baseUrl), seen)),
  wrongPassword: (baseUrl: string) =>
    answer(App.logIn(appOf(baseUrl), Credentials.emailPassword({ email: "ann@shop.example", password: "another" }))),
  /** The life of a user, but for documents. */
  live: (baseUrl: string) =>
    answer(Effect.gen(function*() {
      const app = appOf(baseUrl)
      const account = { email: "ann@shop.example", password: "a long password" }
      yield* EmailPassword.registerUser(app, account)
      const user = yield* App.logIn(app, Credentials.emailPassword(account))
      yield* User.refresh(user)
      const sum = yield* User.callFunction(user, "sum", [1, 2], Schema.Int)
      yield* User.logOut(user)
      return [sum, yield* User.state(user)]
    })),
  /** Watches a collection, and writes to it when that has begun. */
  watch: (baseUrl: string) =>
    answer(Effect.gen(function*() {
      const orders = User.mongoClient(yield* currentUser(baseUrl)).db("shop").collection("orders", Order)
      return yield* orders.pipe(
        Collection.watch(),
        Stream.tap((event) =>
          event._tag === "Opened"
            ? Collection.insertMany(orders, [{ _id: 1, total: 3 }, { _id: 2, total: 30 }])
            : Effect.void
        ),
        Stream.flatMap((event) => event._tag === "Insert" ? Stream.succeed(event.fullDocument) : Stream.empty),
        Stream.take(2),
        Stream.runCollect
      )
    }))
}

declare global {
  // eslint-disable-next-line no-var
  var client: typeof methods
}

globalThis.client = methods
