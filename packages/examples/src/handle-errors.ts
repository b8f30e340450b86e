/**
 * Handles what a function call can fail with: some of it, all of it, and by trying again. Run it:
 * `npx node packages/examples/src/handle-errors.ts`
 */
import { App, Credentials, User } from "@effect-realm/client"
import { Effect, Schedule } from "effect"
import * as Shop from "./Shop.ts"

/** What to tell the customer. A case that is missing here does not compile. */
export const advice = (error: User.CallFunctionError): string => {
  switch (error._tag) {
    case "FunctionError":
      // The reasons of a family are tagged too.
      return error.reason._tag === "FunctionNotFound" ? "Please update this program." : "The shop could not do that."
    case "NotLoggedInError":
    case "SessionError":
      return "Please log in again."
    case "TransportError":
    case "InvalidResponseError":
      return "The shop cannot be reached. Please try again in a minute."
    case "AppError":
    case "RequestError":
    case "UnknownServiceError":
    case "TokenStoreError":
    case "EjsonError":
      return "Something is wrong with this program."
  }
}

/** Whether the same call can succeed a moment later. */
const isPassing = (error: User.CallFunctionError): boolean => {
  switch (error._tag) {
    case "TransportError":
    case "InvalidResponseError":
      return true
    case "AppError":
      return error.reason._tag === "InternalServerError" || error.reason._tag === "MaintenanceInProgress"
    case "RequestError":
      return error.reason._tag === "TooManyRequests"
    case "TokenStoreError":
      return error.reason._tag !== "Damaged"
    default:
      return false
  }
}

/**
 * Reads, trying three times at most. Only for functions that may run twice: after a `TransportError` nobody knows whether
 * the first call ran. That is why the library sends a call once.
 */
const read = (user: User.User, name: string) =>
  User.callFunction(user, name).pipe(
    Effect.retry({ while: isPassing, times: 2, schedule: Schedule.exponential("100 millis") })
  )

export const handleErrors = Effect.fn("handleErrors")(function*(app: App.App) {
  const user = yield* App.logIn(app, Credentials.anonymous())

  // One reason of one family, the rest stays in the error type.
  const total = yield* User.callFunction(user, "totl", [1, 2]).pipe(
    Effect.catchReason("FunctionError", "FunctionNotFound", () => Effect.succeed("no such function"))
  )

  // One family: whatever its reason is, it has the server's message.
  const ordered = yield* User.callFunction(user, "order", [{ bread: 1 }]).pipe(
    Effect.catchTag("FunctionError", (error) => Effect.succeed(error.reason.message))
  )

  // All of it: what is left cannot fail.
  const told = yield* read(user, "fail").pipe(Effect.catch((error) => Effect.succeed(advice(error))))

  return { total, ordered, told }
})

if (import.meta.main) Shop.run(handleErrors)
