/**
 * The push services of an app as services of its functions: `context.services.get("gcm")`. Only functions that run as the
 * system may use one: a registration is no document that a rule could guard.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { AppDefinition } from "../../AppDefinition.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import * as Push from "../../Push.ts"
import * as Executor from "./executor.ts"
import * as FunctionServices from "./functionServices.ts"

const thrown = (error: RealmError.RequestError | RealmError.ServiceError): FunctionServices.FunctionServiceError => {
  const { message, _tag } = error.reason
  return new FunctionServices.FunctionServiceError({ errorName: _tag, message, code: _tag })
}

const forbidden = thrown(RealmError.make("Forbidden", "push is for functions that run as the system"))

const unknownArguments = thrown(
  RealmError.make("InvalidParameter", "expected the id of a user and, to send, a message: { title, body, data }")
)

const decodeUser = Schema.decodeUnknownEffect(Schema.Tuple([Schema.String]))
const decodeSend = Schema.decodeUnknownEffect(Schema.Tuple([Schema.String, Push.Message]))

type Failure = RealmError.ServiceError | DatabaseError | Schema.SchemaError

const handle = (
  push: Push.Push["Service"],
  service: string,
  operation: string,
  args: ReadonlyArray<unknown>
): Effect.Effect<unknown, Failure> =>
  operation === "send"
    ? Effect.flatMap(decodeSend(args), ([userId, message]) => push.send({ service, userId, message }))
    : decodeUser(args).pipe(
      Effect.flatMap(([userId]) => push.registrations({ service, userId })),
      // A function that speaks to the platform by itself needs the token.
      Effect.map((found) =>
        found.map((registration) => ({ ...registration, token: Redacted.value(registration.token) }))
      )
    )

/** The app's push services, for its functions. */
export const layer = ({ pushServices }: AppDefinition): Layer.Layer<never, never, Push.Push> =>
  Layer.effectContext(
    Effect.map(Push.Push, (push) =>
      Context.mergeAll(...pushServices.map(({ name }) =>
        FunctionServices.context({
          name,
          kind: "push",
          handle: (caller, operation, args) =>
            Option.isNone(Executor.inherited(caller))
              ? handle(push, name, operation, args).pipe(
                Effect.catchTags({
                  SchemaError: () => Effect.fail(unknownArguments),
                  ServiceError: (error) => Effect.fail(thrown(error)),
                  DatabaseError: Effect.die
                })
              )
              : Effect.fail(forbidden)
        })
      )))
  )
