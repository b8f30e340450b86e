/**
 * Log-in routes beyond the protocol's endpoints: providers this server does not have, and anonymous log-in by GET, which
 * clients in the wild came to rely on (protocol section 3.1).
 */
import { LoggedIn, logInAnonymous } from "@effect-realm/protocol/Endpoint"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as LogIns from "../providers/logIns.ts"
import type { Served } from "../served.ts"
import * as Refusal from "./refusal.ts"

const encode = Schema.encodeSync(LoggedIn)

const { path } = logInAnonymous

export const layer = ({ app, place }: Served): Layer.Layer<never, never, HttpRouter.HttpRouter | LogIns.LogIns> => {
  const known = Effect.flatMap(HttpRouter.params, ({ appId = "" }) => LogIns.known(app.appId, appId))

  const anonymous = Layer.unwrap(
    Effect.map(LogIns.LogIns, (logIns) =>
      HttpRouter.add("GET", path, (request) =>
        known.pipe(
          Effect.andThen(
            logIns.settle({ request, link: false, device: undefined, prove: logIns.anonymous(false) })
          ),
          Refusal.handle(place),
          Effect.map((loggedIn) =>
            // Of an answer to GET a cache in between would make one user of many.
            HttpServerResponse.jsonUnsafe(encode(loggedIn), { headers: { "cache-control": "no-store" } })
          ),
          Effect.catch((error) => Effect.succeed(Refusal.answer(error)))
        )))
  )

  const unknown = HttpRouter.add(
    "*",
    `/${path.slice(1).replace("anon-user", ":provider")}`,
    Effect.gen(function*() {
      const { provider = "" } = yield* HttpRouter.params
      yield* known
      return yield* LogIns.unsupported(provider)
    }).pipe(Effect.catch((error) => Refusal.response(place, error)))
  )
  return Layer.mergeAll(anonymous, unknown)
}
