/**
 * What an app is: its providers, functions, data sources, values and settings, in our own spelling. Made in TypeScript with
 * {@link make}, or read from an exported folder by the module `AppFolder`.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as DataSource from "./DataSource.ts"
import * as Expression from "./internal/documents/ruleExpression.ts"
import * as RuleReferences from "./internal/documents/ruleReferences.ts"
import * as PublicUrl from "./internal/http/publicUrl.ts"
import * as JsonWebToken from "./internal/providers/jsonWebToken.ts"
import * as Metadata from "./internal/providers/metadata.ts"
import * as OAuthAccount from "./internal/providers/oauthAccount.ts"

const defaultTo = <A>(value: A): Effect.Effect<A> => Effect.succeed(value)

const Switch = (initial: boolean) => Schema.Boolean.pipe(Schema.withConstructorDefault(defaultTo(initial)))

/** The name of a function: its path below `functions/` without `.js`. */
const FunctionName = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, {
    expected: "a function name of letters, digits, \"_\" and \"-\", with \"/\" between folders"
  })
)

const ObjectName = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, {
    expected: "a name of at most 64 letters, digits, \"_\" and \"-\" that begins with a letter or digit"
  })
)

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

const AnonymousFields = Schema.Struct({ enabled: Switch(true) })

const ApiKeyFields = Schema.Struct({ enabled: Switch(true) })

const EmailPasswordFields = Schema.Struct({
  enabled: Switch(true),
  autoConfirm: Switch(false),
  emailConfirmationUrl: Schema.optionalKey(Schema.String),
  confirmEmailSubject: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(256))),
  runConfirmationFunction: Switch(false),
  confirmationFunctionName: Schema.optionalKey(FunctionName),
  resetPasswordUrl: Schema.optionalKey(Schema.String),
  resetPasswordSubject: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(256))),
  runResetFunction: Switch(false),
  resetFunctionName: Schema.optionalKey(FunctionName)
})

const CustomFunctionFields = Schema.Struct({ enabled: Switch(true), authFunctionName: FunctionName })

const MetadataFieldFields = Schema.Struct({
  name: Schema.String.check(
    Schema.makeFilter((name) =>
      Metadata.partsOf(name).includes("") ? "Expected a path such as \"user.email\", without empty parts" : undefined
    )
  ),
  fieldName: Schema.optionalKey(Schema.String),
  required: Switch(false)
}).check(Schema.makeFilter((field) =>
  /^(?!\$|__proto__$)[^\0]{1,63}$/.test(Metadata.nameOf(field))
    ? undefined
    : { path: ["fieldName"], issue: "Expected a name of 1 to 63 characters that does not begin with \"$\"" }
))

const ProviderUrl = Schema.String.check(
  Schema.makeFilter((url) =>
    PublicUrl.isSafe(url) ? undefined : "Expected a URL that begins with https://; http:// is for localhost only"
  )
)

const CustomJwtFields = Schema.Struct({
  enabled: Switch(true),
  audience: Schema.Array(Schema.NonEmptyString).pipe(Schema.withConstructorDefault(defaultTo([]))),
  requireAnyAudience: Switch(false),
  signingAlgorithm: Schema.optionalKey(Schema.Literals(["HS256", "RS256"])),
  signingKeys: Schema.Array(Schema.NonEmptyString).check(Schema.isMaxLength(3)).pipe(
    Schema.withConstructorDefault(defaultTo([]))
  ),
  jwkUri: Schema.optionalKey(ProviderUrl),
  metadataFields: Schema.Array(MetadataFieldFields).pipe(Schema.withConstructorDefault(defaultTo([])))
})

const AccountFieldFields = Schema.Struct({ name: Schema.Literals(OAuthAccount.fields), required: Switch(false) })

const RedirectUri = Schema.String.check(
  Schema.makeFilter((uri) =>
    URL.canParse(uri) && !uri.includes("#") && !/^(?:javascript|data):/i.test(uri)
      ? undefined
      : "Expected the whole address of a page, without a fragment"
  )
)

const Domain = Schema.String.check(
  Schema.isPattern(/^[^@\s/]+$/, { expected: "a domain such as \"shop.example\", without \"@\"" })
)

const OAuthFields = Schema.Struct({
  enabled: Switch(true),
  clientId: Schema.NonEmptyString,
  clientSecret: Schema.optionalKey(Schema.NonEmptyString),
  metadataFields: Schema.Array(AccountFieldFields).pipe(
    Schema.withConstructorDefault(defaultTo([
      { name: "name" as const, required: false },
      { name: "email" as const, required: false },
      { name: "picture" as const, required: false }
    ]))
  ),
  redirectUris: Schema.Array(RedirectUri).pipe(Schema.withConstructorDefault(defaultTo([]))),
  domainRestrictions: Schema.Array(Domain).pipe(Schema.withConstructorDefault(defaultTo([])))
})

/** The provider `anon-user`. */
export interface AnonymousProvider {
  readonly enabled: boolean
}

/** The provider `api-key`: keys of users, and keys of the app's own programs. */
export interface ApiKeyProvider {
  readonly enabled: boolean
}

/** The provider `local-userpass`. One way to confirm and one to reset is in force: `autoConfirm`, then a function, then mail. */
export interface EmailPasswordProvider {
  readonly enabled: boolean
  /** Users are confirmed the moment they register. */
  readonly autoConfirm: boolean
  /** Address of the page that confirmation mails link to. */
  readonly emailConfirmationUrl?: string
  readonly confirmEmailSubject?: string
  readonly runConfirmationFunction: boolean
  readonly confirmationFunctionName?: string
  /** Address of the page that reset mails link to. */
  readonly resetPasswordUrl?: string
  readonly resetPasswordSubject?: string
  readonly runResetFunction: boolean
  readonly resetFunctionName?: string
}

/** The provider `custom-function`. */
export interface CustomFunctionProvider {
  readonly enabled: boolean
  /** The function that turns a credential into an external id. */
  readonly authFunctionName: string
}

/** What of a token becomes the data of its user (`metadata_fields`). */
export interface MetadataField {
  /** Path in the token: dots nest, as in `address.city`, and `\\.` is a dot in a name. */
  readonly name: string
  /** The key in the user's data, at most 63 characters; the last part of the path unless told otherwise. */
  readonly fieldName?: string
  /** A token without it is refused. */
  readonly required: boolean
}

/** The provider `custom-token`: JSON Web Tokens of an issuer of your own. Either `signingKeys` or `jwkUri` has its keys. */
export interface CustomJwtProvider {
  readonly enabled: boolean
  /** Whom a token has to be for, its `aud`; the app's id when there is none. */
  readonly audience: ReadonlyArray<string>
  /** One of the audiences is enough; otherwise a token has to be for all of them. */
  readonly requireAnyAudience: boolean
  /** Tokens of another algorithm are refused; `HS256` for keys of the app's own and `RS256` for a key set unless told otherwise. */
  readonly signingAlgorithm?: "HS256" | "RS256"
  /** Names of the secrets that are the keys, three at most: 32 to 512 characters for HS256, a public key in PEM for RS256. */
  readonly signingKeys: ReadonlyArray<string>
  /** Where the issuer publishes its key set (RFC 7517); its tokens have to name their key (`kid`). */
  readonly jwkUri?: string
  readonly metadataFields: ReadonlyArray<MetadataField>
}

/** What a provider such as Google can tell of an account, by the name it has in the data of the user. */
export interface AccountField {
  readonly name:
    | "name"
    | "first_name"
    | "last_name"
    | "picture"
    | "email"
    | "gender"
    | "birthday"
    | "min_age"
    | "max_age"
  /** An account without it is refused. */
  readonly required: boolean
}

/** The providers `oauth2-google`, `oauth2-facebook` and `oauth2-apple`. */
export interface OAuthProvider {
  readonly enabled: boolean
  /** The app as the provider knows it; Apple calls it services id or bundle id. */
  readonly clientId: string
  /** Name of the secret that proves the app to the provider. Needed for Facebook, for codes of Google, and for redirects. */
  readonly clientSecret?: string
  /** What is kept of the account, brought up to date at each log-in; name, email and picture unless told otherwise. */
  readonly metadataFields: ReadonlyArray<AccountField>
  /** The pages that a log-in by redirection may come back to, each exactly as they ask for it. */
  readonly redirectUris: ReadonlyArray<string>
  /** When there are any, an account needs a confirmed email address of one of these domains. */
  readonly domainRestrictions: ReadonlyArray<string>
}

const ProviderFields = Schema.Struct({
  anonymous: Schema.optionalKey(AnonymousFields),
  apiKey: Schema.optionalKey(ApiKeyFields),
  emailPassword: Schema.optionalKey(EmailPasswordFields),
  customFunction: Schema.optionalKey(CustomFunctionFields),
  customJwt: Schema.optionalKey(CustomJwtFields),
  google: Schema.optionalKey(OAuthFields),
  facebook: Schema.optionalKey(OAuthFields),
  apple: Schema.optionalKey(OAuthFields),
  unsupported: Schema.Array(Schema.String).pipe(Schema.withConstructorDefault(defaultTo([])))
})

/** The ways to log in (`auth/providers.json`); one that is missing or not enabled refuses every log-in. */
export interface AuthProviders {
  readonly anonymous?: AnonymousProvider
  readonly apiKey?: ApiKeyProvider
  readonly emailPassword?: EmailPasswordProvider
  readonly customFunction?: CustomFunctionProvider
  readonly customJwt?: CustomJwtProvider
  readonly google?: OAuthProvider
  readonly facebook?: OAuthProvider
  readonly apple?: OAuthProvider
  /** Providers the app has and this server does not serve yet, by their name on the wire. */
  readonly unsupported: ReadonlyArray<string>
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
  authProviders: ProviderFields.pipe(Schema.withConstructorDefault(defaultTo({ unsupported: [] }))),
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

const problemsOfJwt = ({ authProviders, secrets }: typeof Fields.Type): ReadonlyArray<Schema.FilterIssue> => {
  const provider = authProviders.customJwt
  if (provider?.enabled !== true) return []
  const { jwkUri, metadataFields, signingAlgorithm, signingKeys } = provider
  const at = (...path: ReadonlyArray<PropertyKey>) => ["authProviders", "customJwt", ...path]
  const algorithm = JsonWebToken.algorithmOf(provider)
  return [
    ...(jwkUri === undefined) === (signingKeys.length === 0)
      ? [{ path: at("signingKeys"), issue: "Expected the names of one to three secrets, or a jwkUri in their place" }]
      : [],
    ...jwkUri !== undefined && signingAlgorithm === "HS256"
      ? [{ path: at("signingAlgorithm"), issue: "Expected RS256: a key set has public keys only" }]
      : [],
    ...signingKeys.flatMap((name, index) => {
      const secret = Object.hasOwn(secrets, name) ? secrets[name] : undefined
      if (secret === undefined) return [{ path: at("signingKeys", index), issue: `The app has no secret "${name}"` }]
      const key = JsonWebToken.keyOf(algorithm, Redacted.value(secret))
      return typeof key === "string" ? [{ path: at("signingKeys", index), issue: `The secret "${name}": ${key}` }] : []
    }),
    ...duplicates(at("metadataFields"), metadataFields.map((field) => ({ name: Metadata.nameOf(field) })))
  ]
}

const problemsOfOAuth = ({ authProviders, secrets }: typeof Fields.Type): ReadonlyArray<Schema.FilterIssue> =>
  (["google", "facebook", "apple"] as const).flatMap((name) => {
    const provider = authProviders[name]
    if (provider?.enabled !== true) return []
    const { clientSecret, metadataFields, redirectUris } = provider
    const path = ["authProviders", name, "clientSecret"]
    const needsSecret = name === "facebook" || redirectUris.length > 0
    return [
      ...clientSecret === undefined
        ? needsSecret ? [{ path, issue: "Expected the name of the secret that proves the app to the provider" }] : []
        : Object.hasOwn(secrets, clientSecret)
        ? []
        : [{ path, issue: `The app has no secret "${clientSecret}"` }],
      ...duplicates(["authProviders", name, "metadataFields"], metadataFields)
    ]
  })

const duplicates = (
  path: ReadonlyArray<PropertyKey>,
  items: ReadonlyArray<{ readonly name: string }>
): ReadonlyArray<Schema.FilterIssue> => {
  const seen = new Set<string>()
  return items.flatMap(({ name }, index) => {
    if (!seen.has(name)) {
      seen.add(name)
      return []
    }
    return [{ path: [...path, index, "name"], issue: `"${name}" is there twice: names are unique` }]
  })
}

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
    ...problemsOfJwt(app),
    ...problemsOfOAuth(app),
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

/** An {@link OAuthProvider} with everything optional but `clientId`. */
export interface OAuthOptions extends Partial<Omit<OAuthProvider, "metadataFields">> {
  readonly clientId: string
  readonly metadataFields?: ReadonlyArray<Partial<AccountField> & Pick<AccountField, "name">>
}

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
  readonly authProviders?: {
    readonly anonymous?: Partial<AnonymousProvider>
    readonly apiKey?: Partial<ApiKeyProvider>
    readonly emailPassword?: Partial<EmailPasswordProvider>
    readonly customFunction?: Partial<CustomFunctionProvider> & Pick<CustomFunctionProvider, "authFunctionName">
    readonly customJwt?: Partial<Omit<CustomJwtProvider, "metadataFields">> & {
      readonly metadataFields?: ReadonlyArray<Partial<MetadataField> & Pick<MetadataField, "name">>
    }
    readonly google?: OAuthOptions
    readonly facebook?: OAuthOptions
    readonly apple?: OAuthOptions
    readonly unsupported?: ReadonlyArray<string>
  }
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
    Effect.result(AppDefinition.makeEffect({ name: defaultName(options.appId), ...options }))
  )
  if (Result.isSuccess(made)) return made.success
  throw new Schema.SchemaError(made.failure)
}

const defaultName = (appId: unknown): string =>
  typeof appId === "string" ? appId.replace(/-[^-]*$/, "").slice(0, 32) || "app" : "app"
