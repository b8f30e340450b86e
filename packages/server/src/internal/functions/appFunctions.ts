/**
 * The functions that the server itself runs for the app: they have no caller and run as the system.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Accounts from "../../Accounts.ts"
import type { ConfirmationRequest, ResetRequest, Verdict } from "../../EmailAccounts.ts"
import { Functions, server } from "../../Functions.ts"

/** Who an authentication function says somebody is. */
export interface External {
  readonly id: string
  readonly name?: string
}

export class AppFunctions extends Context.Service<AppFunctions, {
  /** The authentication function. Fails with `AuthError` and the words of what it threw, or when it names nobody. */
  readonly authenticate: (
    name: string,
    credentials: { readonly [field: string]: unknown }
  ) => Effect.Effect<External, RealmError.AuthError>
  /** The function for new users; fails with `AuthError` and the words of what it threw. */
  readonly onUserCreation: (name: string, user: Accounts.User) => Effect.Effect<void, RealmError.AuthError>
  readonly confirm: (name: string, request: ConfirmationRequest) => Effect.Effect<Verdict>
  readonly reset: (name: string, request: ResetRequest, args: ReadonlyArray<unknown>) => Effect.Effect<Verdict>
}>()("@effect-realm/server/internal/appFunctions/AppFunctions") {}

const verdictOf = (result: unknown): Verdict => {
  const status = Predicate.hasProperty(result, "status") ? result.status : undefined
  return status === "success" || status === "pending" ? status : "fail"
}

const externalOf = (result: unknown): External | undefined => {
  if (typeof result === "string") return result === "" ? undefined : { id: result }
  if (!Predicate.hasProperty(result, "id") || typeof result.id !== "string" || result.id === "") return undefined
  return Predicate.hasProperty(result, "name") && typeof result.name === "string"
    ? { id: result.id, name: result.name }
    : { id: result.id }
}

// As the argument of a function, in the spelling of a plain document.
const userArgument = (user: Accounts.User) => ({
  id: user.id,
  type: user.type,
  data: Accounts.data(user),
  custom_data: {},
  identities: user.identities.map(({ data, id, providerType }) => ({ id, provider_type: providerType, data }))
})

const wordsOf = (error: RealmError.FunctionError): RealmError.AuthError =>
  RealmError.make("AuthError", error.reason.message)

export const layer: Layer.Layer<AppFunctions, never, Functions> = Layer.effect(
  AppFunctions,
  Effect.map(Functions, ({ call }) => {
    const run = (name: string, args: ReadonlyArray<unknown>) => call({ name, args, caller: server })

    // Whatever else a function answers, or throws, is a no (server section 2.3). Why it threw is for the log alone.
    const decide = (name: string, args: ReadonlyArray<unknown>): Effect.Effect<Verdict> =>
      run(name, args).pipe(
        Effect.map(verdictOf),
        Effect.catch((error) =>
          Effect.as(Effect.logWarning(`function "${name}" failed: ${error.reason.message}`), "fail" as const)
        )
      )

    return AppFunctions.of({
      authenticate: (name, credentials) =>
        run(name, [credentials]).pipe(
          Effect.mapError(wordsOf),
          Effect.flatMap((result) => {
            const external = externalOf(result)
            return external === undefined
              ? Effect.fail(RealmError.make("AuthError", "unauthorized"))
              : Effect.succeed(external)
          })
        ),
      onUserCreation: (name, user) =>
        Effect.asVoid(Effect.mapError(
          run(name, [userArgument(user)]),
          wordsOf
        )),
      confirm: (name, { email, token, tokenId }) =>
        decide(name, [{ token: Redacted.value(token), tokenId, username: email }]),
      reset: (name, { currentPasswordValid, email, password, token, tokenId }, args) =>
        decide(name, [
          {
            username: email,
            password: Redacted.value(password),
            token: Redacted.value(token),
            tokenId,
            currentPasswordValid
          },
          ...args
        ])
    })
  })
)
