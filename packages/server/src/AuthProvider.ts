/**
 * The ways to log in to an app (`auth/providers.json`, server sections 1.4 and 2), in our own spelling.
 */
import * as Schema from "effect/Schema"
import { defaultTo, FunctionName, Switch } from "./internal/definitionFields.ts"
import * as PublicUrl from "./internal/http/publicUrl.ts"
import * as Metadata from "./internal/providers/metadata.ts"
import * as OAuthAccount from "./internal/providers/oauthAccount.ts"

// -----------------------------------------------------------------------------
// Schemas
// -----------------------------------------------------------------------------

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

/** The schema of {@link AuthProviders}, as `AppDefinition` has it. */
export const Fields = Schema.Struct({
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

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** The provider `anon-user`. */
export interface Anonymous {
  readonly enabled: boolean
}

/** The provider `api-key`: keys of users, and keys of the app's own programs. */
export interface ApiKey {
  readonly enabled: boolean
}

/** The provider `local-userpass`. One way to confirm and one to reset is in force: `autoConfirm`, then a function, then mail. */
export interface EmailPassword {
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
export interface CustomFunction {
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
export interface CustomJwt {
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
export interface OAuth {
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

/** The ways to log in (`auth/providers.json`); one that is missing or not enabled refuses every log-in. */
export interface AuthProviders {
  readonly anonymous?: Anonymous
  readonly apiKey?: ApiKey
  readonly emailPassword?: EmailPassword
  readonly customFunction?: CustomFunction
  readonly customJwt?: CustomJwt
  readonly google?: OAuth
  readonly facebook?: OAuth
  readonly apple?: OAuth
  /** Providers the app has and this server does not serve yet, by their name on the wire. */
  readonly unsupported: ReadonlyArray<string>
}

/** An {@link OAuth} with everything optional but `clientId`. */
export interface OAuthOptions extends Partial<Omit<OAuth, "metadataFields">> {
  readonly clientId: string
  readonly metadataFields?: ReadonlyArray<Partial<AccountField> & Pick<AccountField, "name">>
}

/** What `AppDefinition.make` takes: {@link AuthProviders} with everything optional but what has no default. */
export interface Options {
  readonly anonymous?: Partial<Anonymous>
  readonly apiKey?: Partial<ApiKey>
  readonly emailPassword?: Partial<EmailPassword>
  readonly customFunction?: Partial<CustomFunction> & Pick<CustomFunction, "authFunctionName">
  readonly customJwt?: Partial<Omit<CustomJwt, "metadataFields">> & {
    readonly metadataFields?: ReadonlyArray<Partial<MetadataField> & Pick<MetadataField, "name">>
  }
  readonly google?: OAuthOptions
  readonly facebook?: OAuthOptions
  readonly apple?: OAuthOptions
  readonly unsupported?: ReadonlyArray<string>
}
