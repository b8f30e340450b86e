/**
 * The HTTP services of an app: clients use them as far as their rules allow (protocol section 10.2), and functions as they
 * use `context.http`, of which these are further names.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { AppDefinition, HttpAction, HttpService } from "../../AppDefinition.ts"
import type { Caller, Functions } from "../../Functions.ts"
import * as Expression from "../documents/ruleExpression.ts"
import { requestDocument, userDocument, valuesOf } from "./callScope.ts"
import * as FunctionServices from "./functionServices.ts"

type Refusal = RealmError.DataError | RealmError.RequestError | RealmError.ServiceError

/** One action of a client. Arguments are BSON values with exact numbers, and so is the result. */
export interface Action {
  readonly name: string
  readonly args: ReadonlyArray<unknown>
  readonly caller: Caller
}

export class HttpServices extends Context.Service<HttpServices, {
  /** What a service does for clients, by its name; nothing when the app has no such HTTP service. */
  readonly get: (service: string) => ((action: Action) => Effect.Effect<unknown, Refusal, Functions>) | undefined
}>()("@effect-realm/server/internal/httpServices/HttpServices") {}

const actions: ReadonlySet<string> = new Set<HttpAction>(["get", "post", "put", "patch", "delete", "head"])

const parts = ["scheme", "host", "path", "query", "fragment"]

/**
 * What of a client's request a rule could look at in vain: `url` wins over the parts of an address, so a rule that holds for
 * the host would let a request to another pass, `authUrl` is a second address, and the header `Host` names a second host.
 */
const hidden = (argument: unknown): string | undefined => {
  if (!Predicate.isReadonlyObject(argument)) return undefined
  const request: { readonly [name: string]: unknown } = argument
  const has = (name: string) => request[name] !== undefined && request[name] !== null
  if (has("authUrl")) return "\"authUrl\" is for functions alone"
  const { headers } = request
  const names = Predicate.isReadonlyObject(headers) ? Object.keys(headers) : []
  if (names.some((name) => name.toLowerCase() === "host")) return "the header \"Host\" is for functions alone"
  return has("url") && parts.some(has) ? `give either "url" or its parts: ${parts.join(", ")}` : undefined
}

const refused = ({ code, message }: FunctionServices.FunctionServiceError): Refusal => {
  switch (code) {
    case "InvalidParameter":
    case "NoMatchingRuleFound":
      return RealmError.make(code, message)
    default:
      return RealmError.make("HTTPError", message)
  }
}

const serve = (
  app: AppDefinition,
  { name: service, rules }: HttpService,
  http: FunctionServices.FunctionService
) => {
  const compiled = rules.map(({ actions, when }) => ({ actions, when: Expression.compile(when, "action") }))
  const surroundings = {
    values: Object.fromEntries(valuesOf(app)),
    environment: { tag: app.environment.tag, values: app.environment.values }
  }
  return Effect.fnUntraced(function*({ args, caller, name }: Action): Effect.fn.Return<unknown, Refusal, Functions> {
    if (!actions.has(name)) {
      return yield* RealmError.make("ServiceCommandNotFound", `the service has no command '${name}'`)
    }
    if (args.length !== 1) return yield* RealmError.make("InvalidParameter", `"${name}" takes one argument, a document`)
    const problem = hidden(args[0])
    if (problem !== undefined) return yield* RealmError.make("InvalidParameter", problem)
    const scope = {
      ...surroundings,
      user: userDocument(caller.user),
      request: requestDocument(caller.request),
      args: args[0]
    }
    if (!compiled.some(({ actions, when }) => actions.some((action) => action === name) && when.evaluate(scope))) {
      return yield* RealmError.make("NoMatchingRuleFound", `no rule of the service '${service}' allows '${name}'`)
    }
    return yield* Effect.mapError(http.handle(caller, name, args), refused)
  })
}

/** The HTTP services of an app, over `context.http` of its functions, which is in the context (`FunctionHttp.layer`). */
export const layer = (app: AppDefinition): Layer.Layer<HttpServices> =>
  Layer.effectContext(Effect.contextWith((context: Context.Context<never>) => {
    const http = FunctionServices.all(context).find(({ name }) => name === "http")
    const known = http === undefined ? [] : app.httpServices
    const services = new Map(known.map((service) => [service.name, serve(app, service, http!)] as const))
    return Effect.succeed(Context.mergeAll(
      Context.make(HttpServices, HttpServices.of({ get: (name) => services.get(name) })),
      // `http` is one already.
      ...known.flatMap(({ name }) => name === "http" ? [] : [FunctionServices.context({ ...http!, name })])
    ))
  }))
