/**
 * Users of an app in App Services, taken over with their ids: documents name their owners by them. What is taken over is a
 * list of users as App Services' Admin API gave it, while there was one.
 *
 * Passwords are in no list. Whoever logged in with an email address sets a new one first, by the reset that the app has;
 * whoever did by a provider or a function of the app goes on with the same account there.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Accounts, type User } from "./Accounts.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import * as EmailAccounts from "./EmailAccounts.ts"
import * as AppIds from "./internal/appIds.ts"
import * as ListedUser from "./internal/userImport/listedUser.ts"
import * as ListText from "./internal/userImport/listText.ts"

/**
 * What has become of one entry of the list, which begins in `line`, counted from 1.
 *
 * - `Added`: the user is here now; `notes` say what of them is not, such as an API key.
 * - `Present`: the user was here before, and nothing was changed.
 * - `LeftOut`: there is nobody to take over, as nobody could log in: an anonymous user, one who was a key.
 * - `Refused`: the entry is wrong, or its id, address or account is somebody else's here. Nothing was written; `message` says what to do.
 */
export type Outcome =
  | { readonly _tag: "Added"; readonly line: number; readonly user: User; readonly notes: ReadonlyArray<string> }
  | { readonly _tag: "Present"; readonly line: number; readonly user: User }
  | { readonly _tag: "LeftOut" | "Refused"; readonly line: number; readonly message: string }

const toRefused = (message: string): Effect.Effect<ListedUser.Unread> => Effect.succeed({ _tag: "Refused", message })

/**
 * Takes over the users of a list, one after the other, and tells of each. Each is taken whole or not at all, and doing it again
 * changes nothing. The function for new users does not run: these are none.
 *
 * ```ts
 * import { Accounts, AppDefinition, Database, RealmServer, UserImport } from "@effect-realm/server"
 * import { Effect, Layer, Stream } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { emailPassword: { autoConfirm: true } } })
 * const server = Layer.provide(RealmServer.layer({ app }), [HttpRouter.layer, Database.layerMemory])
 *
 * const list = `{ "_id": "5b5cc113058429b7820af78e", "type": "normal", "creation_date": 1532805395, "identities": [
 *   { "id": "5b5cc113058429b7820af78b-abcdefghijklmnopqrstuvwx", "provider_type": "local-userpass",
 *     "provider_data": { "email": "ann@example.com" } }] }`
 *
 * const program = Effect.gen(function*() {
 *   const [outcome] = yield* Stream.runCollect(UserImport.run({ appId: "shop-abcde", list: Stream.make(list) }))
 *   const ann = yield* Accounts.Accounts.use((accounts) => accounts.get("5b5cc113058429b7820af78e"))
 *   return [outcome?._tag, ann?.createdAt.getTime()]
 * })
 * await Effect.runPromise(Effect.provide(program, server)) // => ["Added", 1532805395000]
 * ```
 *
 * @param options.list the text of the list, in pieces of any length: a JSON array, one object a line, or several lists behind
 * each other
 */
export const run = <E, R>(options: {
  readonly appId: string
  readonly list: Stream.Stream<string, E, R>
}): Stream.Stream<Outcome, E | DatabaseError, R | Accounts | EmailAccounts.EmailAccounts> =>
  Stream.unwrap(Effect.gen(function*() {
    const accounts = yield* Accounts
    const emailAccounts = yield* EmailAccounts.EmailAccounts
    const ids = AppIds.make(options.appId)

    // The address goes first, as it does when a user is deleted: there is no moment when it is nobody's and the user there.
    const take = Effect.fnUntraced(function*({ address, notes, user }: ListedUser.Listed) {
      const isKept = address !== undefined && (yield* emailAccounts.add(address))
      const isNew = yield* accounts.add(user).pipe(
        Effect.onError(() => isKept ? Effect.orDie(emailAccounts.remove(address.identityId)) : Effect.void)
      )
      return isNew ? { _tag: "Added", user, notes } as const : { _tag: "Present", user } as const
    })

    const settled = (listed: ListedUser.Listed) =>
      Effect.uninterruptible(take(listed)).pipe(
        Effect.catchTags({
          AccountError: ({ message }) => toRefused(message),
          AuthError: () =>
            toRefused(
              `${listed.address?.email} is the address of another account. Delete that one first, or leave this one out.`
            ),
          RequestError: () => toRefused("the address cannot be one: it is too long, or has control characters")
        }),
        Effect.catchReasons("DatabaseError", {
          BadDocument: (_, { message }) => toRefused(message),
          DocumentTooLarge: (_, { message }) => toRefused(message)
        })
      )

    return ListText.split(options.list).pipe(
      Stream.mapEffect(Effect.fnUntraced(function*({ line, problem, text }) {
        if (problem !== undefined) return { _tag: "Refused", line, message: problem } as const
        const listed = ListedUser.read(text, ids.providerId)
        if (Result.isFailure(listed)) return { ...listed.failure, line }
        return { ...yield* settled(listed.success), line }
      }))
    )
  }))
