/**
 * The data sources of an app as services of its functions: `context.services.get("mongodb-atlas")`. The face that functions
 * hold is in `serviceFaces.ts`; it asks for the same operations as clients do.
 */
import type * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AppDefinition } from "../../AppDefinition.ts"
import { Documents } from "../../Documents.ts"
import * as FunctionServices from "../functions/functionServices.ts"

const thrown = (
  { reason }: RealmError.DataError | RealmError.RequestError | RealmError.ServiceError
): FunctionServices.FunctionServiceError =>
  new FunctionServices.FunctionServiceError({
    errorName: reason._tag,
    message: reason.message,
    code: reason._tag
  })

/** The services of the app's data sources, for its functions. */
export const layer = ({ dataSources }: AppDefinition): Layer.Layer<never, never, Documents> =>
  Layer.effectContext(
    Effect.map(Documents, (documents) =>
      Context.mergeAll(...dataSources.map(({ name }) =>
        FunctionServices.context({
          name,
          kind: "mongodb",
          handle: (caller, operation, args) =>
            Effect.mapError(documents.call({ service: name, operation, args, caller }), thrown)
        })
      )))
  )
