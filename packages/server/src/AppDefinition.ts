/**
 * What an app is: its providers, functions, data sources, values and settings, in our own spelling. Made in TypeScript with
 * {@link make}, or read from an exported folder by the module `AppFolder`.
 */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as AuthProvider from "./AuthProvider.ts"
import * as DataSource from "./DataSource.ts"
import { defaultTo, duplicates, FunctionName, ObjectName, Switch } from "./internal/definitionFields.ts"
import * as Expression from "./internal/documents/ruleExpression.ts"
import * as RuleReferences from "./internal/documents/ruleReferences.ts"
import * as ProviderProblems from "./internal/providers/providerProblems.ts"

const expressionOn = (subject: Expression.Subject) =>
  Schema.Json.check(
    Schema.makeFilter((expression) => Expression.compile(expression, subject).unsupported.map(({ message }) => message))
  )

const RuleExpression = expressionOn("call")

// -----------------------------------------------------------------------------
// Parts
// -----------------------------------------------------------------------------

const FunctionFields = Schema.Struct({
  name: FunctionName,
  source: Schema.String,
  private: Switch(false),
  canEvaluate: Schema.optionalKey(RuleExpression),
  runAsSystem: Switch(false),
  runAsUserId: Schema.optionalKey(Schema.NonEmptyString),
  runAsUserIdScriptSource: Schema.optionalKey(Schema.NonEmptyString),
  disableArgLogs: Switch(false)
})

/** A function of the app (`functions/config.json` and `functions/<name>.js`). */
export interface AppFunction {
  /** Path below `functions/` without `.js`, such as `orders/place`. */
  readonly name: string
  /** JavaScript that assigns the function to `exports`. */
  readonly source: string
  /** Callable by other functions only, not by clients. */
  readonly private: boolean
  /** The rule expression a client's call has to fulfil; without one, or with `{}`, everybody may call. */
  readonly canEvaluate?: Schema.Json
  /** Runs as the system, whoever calls. */
  readonly runAsSystem: boolean
  /**
   * Runs as the user with this id, whoever calls, unless as the system. `context.user` is the caller all the same: as whom a
   * function runs says what it may reach.
   */
  readonly runAsUserId?: string
  /**
   * JavaScript that says whom to run as, where neither of the others does: it assigns a function to `exports` which returns the
   * id of a user, or `{ runAsSystem: true }`. It is called without arguments, with the `context` of the caller.
   */
  readonly runAsUserIdScriptSource?: string
  /** Arguments are kept out of logs. */
  readonly disableArgLogs: boolean
}

const PackagesFields = Schema.Struct({ folder: Schema.NonEmptyString, names: Schema.Array(Schema.NonEmptyString) })

/** npm packages for functions (`functions/package.json` and `functions/node_modules`). */
export interface Packages {
  /** Path of the folder that holds `node_modules`. */
  readonly folder: string
  /** What functions may require. A package may require what its own `package.json` names. */
  readonly names: ReadonlyArray<string>
}

const PushServiceFields = Schema.Struct({ name: ObjectName })

/** A service that reaches devices by push messages (`services/<name>/config.json` of type `gcm`). */
export interface PushService {
  /** What clients and functions ask for, most often `gcm`. */
  readonly name: string
}

const HttpAction = Schema.Literals(["get", "post", "put", "patch", "delete", "head"])

/** What an HTTP service is asked to do. */
export type HttpAction = typeof HttpAction.Type

const HttpServiceFields = Schema.Struct({
  name: ObjectName,
  rules: Schema.Array(
    Schema.Struct({
      name: Schema.NonEmptyString,
      actions: Schema.Array(HttpAction),
      when: expressionOn("action")
    })
  ).pipe(Schema.withConstructorDefault(defaultTo([])))
})

/** When clients may use an HTTP service. */
export interface HttpRule {
  readonly name: string
  readonly actions: ReadonlyArray<HttpAction>
  /** The rule expression that has to be fulfilled; `{}` always is. `%%args` is what the client has sent. */
  readonly when: Schema.Json
}

/**
 * A service that sends requests to other servers (`services/<name>/config.json` of type `http`). Clients may do what one of
 * its rules allows; functions have it by `context.services.get`, without rules, as they have `context.http`.
 */
export interface HttpService {
  /** What clients and functions ask for, most often `http`. */
  readonly name: string
  readonly rules: ReadonlyArray<HttpRule>
}

const CustomUserDataFields = Schema.Struct({
  enabled: Switch(true),
  serviceName: Schema.NonEmptyString.pipe(Schema.withConstructorDefault(defaultTo("mongodb-atlas"))),
  databaseName: Schema.NonEmptyString,
  collectionName: Schema.NonEmptyString,
  userIdField: Schema.NonEmptyString,
  onUserCreationFunctionName: Schema.optionalKey(FunctionName)
})

/** Where the custom data of a user is found (`auth/custom_user_data.json`). */
export interface CustomUserData {
  readonly enabled: boolean
  /** Name of the data source (`mongo_service_name`). */
  readonly serviceName: string
  readonly databaseName: string
  readonly collectionName: string
  /** The field that holds the user's id. */
  readonly userIdField: string
  /** Called with the user before the account exists; when it throws there is no account. */
  readonly onUserCreationFunctionName?: string
}

const ValueFields = Schema.Union([
  Schema.Struct({ name: ObjectName, value: Schema.Json }),
  Schema.Struct({ name: ObjectName, fromSecret: Schema.NonEmptyString })
])

/** A named value (`values/*.json`): JSON of its own, or the text of a secret. */
export type AppValue =
  | { readonly name: string; readonly value: Schema.Json }
  | { readonly name: string; readonly fromSecret: string }

const Tag = Schema.Literals(["", "development", "testing", "qa", "production"])

/** The environment an app runs in; `""` is none. */
export type EnvironmentTag = typeof Tag.Type

const EnvironmentFields = Schema.Struct({
  tag: Tag.pipe(Schema.withConstructorDefault(defaultTo<EnvironmentTag>(""))),
  values: Schema.Record(Schema.String, Schema.Json).pipe(Schema.withConstructorDefault(defaultTo({})))
})

/** The environment and its values, those of the tag in force. */
export interface Environment {
  readonly tag: EnvironmentTag
  readonly values: { readonly [name: string]: Schema.Json }
}

const Origin = Schema.String.check(
  Schema.makeFilter((origin) =>
    URL.canParse(origin) && new URL(origin).origin === origin
      ? undefined
      : `Expected an origin such as "https://shop.example", got ${JSON.stringify(origin)}`
  )
)

const Fields = Schema.Struct({
  appId: Schema.String.check(
    Schema.isPattern(/^[A-Za-z0-9_-]+$/, { expected: "an app id of letters, digits, \"_\" and \"-\"" })
  ),
  name: Schema.String.check(
    Schema.isPattern(/^[A-Za-z0-9_-]{1,32}$/, { expected: "a name of 1 to 32 letters, digits, \"_\" and \"-\"" })
  ),
  deploymentModel: Schema.Literals(["GLOBAL", "LOCAL"]).pipe(Schema.withConstructorDefault(defaultTo("GLOBAL"))),
  location: Schema.NonEmptyString.pipe(Schema.withConstructorDefault(defaultTo("US-VA"))),
  providerRegion: Schema.NonEmptyString.pipe(Schema.withConstructorDefault(defaultTo("aws-us-east-1"))),
  environment: EnvironmentFields.pipe(Schema.withConstructorDefault(defaultTo({ tag: "" as const, values: {} }))),
  allowedRequestOrigins: Schema.Array(Origin).pipe(Schema.withConstructorDefault(defaultTo([]))),
  authProviders: AuthProvider.Fields.pipe(Schema.withConstructorDefault(defaultTo({ unsupported: [] }))),
  customUserData: Schema.optionalKey(CustomUserDataFields),
  dataSources: Schema.Array(DataSource.Fields).pipe(Schema.withConstructorDefault(defaultTo([]))),
  pushServices: Schema.Array(PushServiceFields).pipe(Schema.withConstructorDefault(defaultTo([]))),
  httpServices: Schema.Array(HttpServiceFields).pipe(Schema.withConstructorDefault(defaultTo([]))),
  packages: Schema.optionalKey(PackagesFields),
  functions: Schema.Array(FunctionFields).pipe(Schema.withConstructorDefault(defaultTo([]))),
  values: Schema.Array(ValueFields).pipe(Schema.withConstructorDefault(defaultTo([]))),
  secrets: Schema.Record(Schema.String, Schema.Redacted(Schema.String)).pipe(
    Schema.withConstructorDefault(defaultTo({}))
  )
})

interface NamedReference {
  readonly path: ReadonlyArray<string | number>
  readonly name: string | undefined
}

/** The places of an app that name a function, each with its path in the definition. */
const functionReferences = (app: typeof Fields.Type): ReadonlyArray<NamedReference> => [
  {
    path: ["authProviders", "emailPassword", "confirmationFunctionName"],
    name: app.authProviders.emailPassword?.runConfirmationFunction === true
      ? app.authProviders.emailPassword.confirmationFunctionName ?? ""
      : undefined
  },
  {
    path: ["authProviders", "emailPassword", "resetFunctionName"],
    name: app.authProviders.emailPassword?.runResetFunction === true
      ? app.authProviders.emailPassword.resetFunctionName ?? ""
      : undefined
  },
  {
    path: ["authProviders", "customFunction", "authFunctionName"],
    name: app.authProviders.customFunction?.authFunctionName
  },
  {
    path: ["customUserData", "onUserCreationFunctionName"],
    name: app.customUserData?.onUserCreationFunctionName
  },
  ...RuleReferences.functions(app.dataSources)
]

const consistent = (app: typeof Fields.Type): ReadonlyArray<Schema.FilterIssue> => {
  const functions = new Set(app.functions.map((definition) => definition.name))
  return [
    ...duplicates(["dataSources"], app.dataSources),
    ...duplicates(["pushServices"], app.pushServices),
    ...duplicates(["httpServices"], app.httpServices),
    ...app.httpServices.flatMap(({ name }, index) =>
      [...app.dataSources, ...app.pushServices].some((other) => other.name === name)
        ? [{ path: ["httpServices", index, "name"], issue: `"${name}" is another service: names are unique` }]
        : []
    ),
    ...app.pushServices.flatMap(({ name }, index) =>
      name === "http" || app.dataSources.some((source) => source.name === name)
        ? [{ path: ["pushServices", index, "name"], issue: `"${name}" is another service: names are unique` }]
        : []
    ),
    ...duplicates(["functions"], app.functions),
    ...duplicates(["values"], app.values),
    ...ProviderProblems.problems(app),
    ...functionReferences(app).flatMap(({ name, path }) =>
      name === undefined || functions.has(name)
        ? []
        : [{ path, issue: name === "" ? "Expected the name of a function" : `The app has no function "${name}"` }]
    ),
    ...app.values.flatMap((value, index) =>
      "fromSecret" in value && !Object.hasOwn(app.secrets, value.fromSecret)
        ? [{ path: ["values", index, "fromSecret"], issue: `The app has no secret "${value.fromSecret}"` }]
        : []
    )
  ]
}

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

const Checked = Fields.check(Schema.makeFilter(consistent))

/** What {@link make} takes: an {@link AppDefinition} with everything optional but `appId`. */
export interface Options {
  /** The id clients use, such as `shop-abcde`. */
  readonly appId: string
  /** Default: `appId` without its last part, at most 32 characters. */
  readonly name?: string
  /** Default: `GLOBAL`. */
  readonly deploymentModel?: "GLOBAL" | "LOCAL"
  /** Region code of old, which clients are told; default: `US-VA`. */
  readonly location?: string
  /** Default: `aws-us-east-1`. */
  readonly providerRegion?: string
  /** Default: no tag, no values. */
  readonly environment?: Partial<Environment>
  /** Browser origins that may call; empty, the default, lets every origin call. */
  readonly allowedRequestOrigins?: ReadonlyArray<string>
  /** The ways to log in; none by default. */
  readonly authProviders?: AuthProvider.Options
  readonly customUserData?:
    & Partial<CustomUserData>
    & Pick<CustomUserData, "databaseName" | "collectionName" | "userIdField">
  /** The MongoDB services, with the rules of their collections; none by default. */
  readonly dataSources?: ReadonlyArray<DataSource.DataSourceOptions>
  /** The services of push messages; none by default. */
  readonly pushServices?: ReadonlyArray<PushService>
  /** The services by which clients send requests to other servers; none by default. */
  readonly httpServices?: ReadonlyArray<Partial<HttpService> & Pick<HttpService, "name">>
  /** npm packages for functions; by default there are none. */
  readonly packages?: Packages
  readonly functions?: ReadonlyArray<Partial<AppFunction> & Pick<AppFunction, "name" | "source">>
  readonly values?: ReadonlyArray<AppValue>
  /** Secrets by name, never printed. */
  readonly secrets?: { readonly [name: string]: Redacted.Redacted }
}

const Base: Schema.Class<AppDefinition, typeof Checked, {}> = Schema.Class<AppDefinition>(
  "@effect-realm/server/AppDefinition"
)(Checked)

/**
 * An app: a plain, immutable, comparable value. Secrets in it are `Redacted`.
 *
 * ```ts
 * import { AppDefinition } from "@effect-realm/server"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * app.authProviders.anonymous?.enabled // => true
 * app.name // => "shop"
 * ```
 */
export class AppDefinition extends Base {}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * An app from options; what is left out gets the default that an exported app has.
 *
 * Throws a `SchemaError` when an option has the wrong type, a name is there twice, or a function or secret is named that
 * the app does not have; the message names the field.
 *
 * ```ts
 * import { AppDefinition } from "@effect-realm/server"
 * import * as assert from "node:assert"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   functions: [{ name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" }]
 * })
 * app.functions[0]?.private // => false
 *
 * assert.throws(
 *   () => AppDefinition.make({ appId: "shop-abcde", authProviders: { customFunction: { authFunctionName: "login" } } }),
 *   /no function "login"/
 * )
 * ```
 */
export const make = (options: Options): AppDefinition => {
  const made = Effect.runSync(
    Effect.result(AppDefinition.makeEffect({ name: defaultName(options?.appId), ...options }))
  )
  if (Result.isSuccess(made)) return made.success
  throw new Schema.SchemaError(made.failure)
}

const defaultName = (appId: unknown): string =>
  typeof appId === "string" ? appId.replace(/-[^-]*$/, "").slice(0, 32) || "app" : "app"
