import * as AppDefinition from "@effect-realm/server/AppDefinition"
import * as AppFolder from "@effect-realm/server/AppFolder"
import * as Functions from "@effect-realm/server/Functions"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Int32 } from "bson"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import { fileURLToPath } from "node:url"

const shop = fileURLToPath(new URL("../../examples/apps/shop", import.meta.url))

type Tree = { readonly [path: string]: string | object }

const root = { config_version: 20_210_101, app_id: "shop-abcde", name: "shop" }

/** A folder with these files; objects are written as JSON of two spaces. */
const folder = Effect.fnUntraced(function*(files: Tree) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = yield* fs.makeTempDirectoryScoped()
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(directory, name)
    yield* fs.makeDirectory(path.dirname(file), { recursive: true })
    yield* fs.writeFileString(file, typeof content === "string" ? content : JSON.stringify(content, null, 2))
  }
  return directory
})

const load = (files: Tree) => Effect.flatMap(folder({ "root_config.json": root, ...files }), AppFolder.load)

const check = (files: Tree) =>
  Effect.map(
    Effect.flatMap(folder({ "root_config.json": root, ...files }), AppFolder.check),
    (findings) => findings.map(AppFolder.format)
  )

const userpass = (config: object, more?: object) => ({
  "local-userpass": { name: "local-userpass", type: "local-userpass", disabled: false, config, ...more }
})

it.layer(NodeServices.layer)("AppFolder", (it) => {
  it.effect("the sample app loads without a finding", () =>
    Effect.gen(function*() {
      const { app, warnings } = yield* AppFolder.load(shop)
      assert.deepStrictEqual(warnings, [])
      assert.strictEqual(app.appId, "shop-abcde")
      assert.isTrue(app.authProviders.anonymous?.enabled)
      assert.isTrue(app.authProviders.emailPassword?.autoConfirm)
      assert.strictEqual(app.authProviders.customFunction?.authFunctionName, "login")
      assert.strictEqual(app.customUserData?.collectionName, "preferences")
      assert.deepStrictEqual(app.environment, {
        tag: "development",
        values: { greeting: "Welcome to the shop", supplier: "supplier.example" }
      })
    }))

  it.effect("the functions of the sample app run", () =>
    Effect.gen(function*() {
      const { app } = yield* AppFolder.load(shop)
      const ada: Functions.Caller = {
        origin: "client",
        user: Option.some({ id: "u1", type: "normal", data: { name: "Ada" }, customData: {}, identities: [] }),
        request: {}
      }
      yield* Effect.gen(function*() {
        const { call } = yield* Functions.Functions
        assert.deepStrictEqual(yield* call({ name: "sum", args: [1, 2, 3], caller: ada }), new Int32(6))
        assert.strictEqual(
          yield* call({ name: "greet", args: [], caller: ada }),
          "Welcome to the shop, Ada. This is The Corner Shop."
        )
        const order = yield* call({ name: "order", args: [{ tea: 2, cake: 1 }], caller: ada })
        assert.deepInclude(order, { total: new Int32(15) })
        assert.deepStrictEqual(
          yield* call({ name: "login", args: [{ card: "card-ada" }], caller: Functions.server }),
          { id: "card-ada", name: "Ada" }
        )
        const failed = yield* Effect.flip(call({ name: "fail", args: [], caller: ada }))
        assert.strictEqual(failed.reason.message, "TypeError: the till is jammed")
        const refused = yield* Effect.flip(call({ name: "wholesale", args: ["tea"], caller: ada }))
        assert.strictEqual(refused.reason.message, "rule not matched for function \"wholesale\"")
        assert.strictEqual(
          (yield* Effect.flip(call({ name: "priceOf", args: ["tea"], caller: ada }))).reason._tag,
          "NotCallable"
        )
      }).pipe(Effect.provide(Functions.layer(app, { workers: 1 })))
    }), 30_000)

  it.effect("realm_config.json is a root configuration too", () =>
    Effect.gen(function*() {
      const { app } = yield* Effect.flatMap(folder({ "realm_config.json": root }), AppFolder.load)
      assert.strictEqual(app.name, "shop")
    }))

  it.effect("a loaded app equals the same app made in TypeScript", () =>
    Effect.gen(function*() {
      const { app } = yield* load({
        "auth/providers.json": {
          "anon-user": { name: "anon-user", type: "anon-user", disabled: false },
          "api-key": { name: "api-key", type: "api-key", disabled: false }
        },
        "functions/orders/place.js": "exports = () => 1"
      })
      assert.isTrue(Equal.equals(
        app,
        AppDefinition.make({
          appId: "shop-abcde",
          name: "shop",
          authProviders: { anonymous: {}, apiKey: {} },
          functions: [{ name: "orders/place", source: "exports = () => 1" }]
        })
      ))
    }))

  const customToken = (config: object, more?: object) => ({
    "custom-token": { name: "custom-token", type: "custom-token", disabled: false, config, ...more }
  })
  const key = (letter: string) => letter.repeat(40)

  it.effect("the issuer of an app's tokens is read with its secrets, in all their forms", () =>
    Effect.gen(function*() {
      const signingKeys = { secret_config: { signingKeys: ["first", "second"] } }
      const forms: ReadonlyArray<Tree> = [
        {
          "auth/providers.json": customToken({ audience: "cafe", signingAlgorithm: "HS256", useJWKURI: false }, {
            metadata_fields: [{ name: "user.email", field_name: "mail", required: true }, {
              name: "name",
              field_name: ""
            }],
            ...signingKeys
          }),
          "secrets.json": { first: key("a"), second: key("b") }
        },
        {
          "auth/providers.json": customToken({ audience: ["cafe"], signingAlgorithm: "HS256", jwkURI: "" }, {
            metadata_fields: [{ name: "user.email", field_name: "mail", required: true }, { name: "name" }],
            ...signingKeys
          }),
          "secrets.json": { auth_providers: { "custom-token": { signingKeys: [key("a"), key("b")] } } }
        }
      ]
      for (const files of forms) {
        const { app, warnings } = yield* load(files)
        assert.deepStrictEqual(warnings, [])
        assert.isTrue(Equal.equals(
          app,
          AppDefinition.make({
            appId: "shop-abcde",
            name: "shop",
            authProviders: {
              customJwt: {
                audience: ["cafe"],
                signingAlgorithm: "HS256",
                signingKeys: ["first", "second"],
                metadataFields: [{ name: "user.email", fieldName: "mail", required: true }, { name: "name" }]
              }
            },
            secrets: { first: Redacted.make(key("a")), second: Redacted.make(key("b")) }
          })
        ))
      }
      const { app } = yield* load({
        "auth/providers.json": customToken(
          { audience: "", signingAlgorithm: "HS256", useJWKURI: true, jwkURI: "https://issuer.example/keys" },
          { secret_config: { signingKeys: [] } }
        )
      })
      assert.strictEqual(app.authProviders.customJwt?.jwkUri, "https://issuer.example/keys")
      assert.isUndefined(app.authProviders.customJwt?.signingAlgorithm)
    }))

  it.effect("what is wrong with the issuer of an app's tokens is told by its line", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "auth/providers.json": customToken(
            { audience: 7, requireAnyAudience: "yes", signingAlgorithm: "ES256", colour: "red" },
            {
              secret_config: { signingKeys: ["weak", "absent"] },
              metadata_fields: [{ name: "a..b" }, { name: "c", required: 1 }]
            }
          ),
          "secrets.json": { weak: "too short" }
        }),
        [
          "auth/providers.json:7: error: Expected string (0)",
          "auth/providers.json:8: error: Expected boolean",
          "auth/providers.json:9: error: Expected \"HS256\" | \"RS256\"",
          "auth/providers.json:10: warning: The field \"colour\" is not supported and is ignored",
          "auth/providers.json:15: warning: The secret \"absent\" is not there: add it to secrets.json, or the log-ins that need it are refused",
          "auth/providers.json:20: error: Expected a path such as \"user.email\", without empty parts",
          "auth/providers.json:24: error: Expected boolean"
        ]
      )
      assert.deepStrictEqual(
        yield* check({
          "auth/providers.json": customToken({}, { secret_config: { signingKeys: ["weak"] } }),
          "secrets.json": { weak: "too short" }
        }),
        [
          "auth/providers.json:9: error: The secret \"weak\": a key for HS256 has to be 32 to 512 letters, digits, \"_\" and \"-\""
        ]
      )
      assert.deepStrictEqual(
        yield* check({ "auth/providers.json": customToken({ useJWKURI: true, jwkURI: "http://issuer.example/keys" }) }),
        ["auth/providers.json:8: error: Expected a URL that begins with https://; http:// is for localhost only"]
      )
      assert.deepStrictEqual(
        yield* check({ "auth/providers.json": customToken({ useJWKURI: true }) }),
        ["auth/providers.json:6: error: Expected a URL that begins with https://; http:// is for localhost only (jwkURI)"]
      )
    }))

  it.effect("Google, Facebook and Apple are read with what they may tell, where they come back to and whom they let in", () =>
    Effect.gen(function*() {
      const entry = (type: string, more: object) => ({ [type]: { name: type, type, disabled: false, ...more } })
      const providers = {
        ...entry("oauth2-google", {
          config: { clientId: "google-id", openId: false },
          secret_config: { clientSecret: "googleSecret" },
          metadata_fields: [{ required: true, name: "email" }, { required: false, name: "first_name" }],
          redirect_uris: ["https://shop.example/signed-in", "http://localhost:3000/"],
          domain_restrictions: ["shop.example"]
        }),
        ...entry("oauth2-facebook", {
          config: { clientId: "facebook-id" },
          secret_config: { clientSecret: "facebookSecret" },
          metadata_fields: [],
          redirect_uris: null
        }),
        ...entry("oauth2-apple", { config: { clientId: "apple-id" }, metadata_fields: [] })
      }
      const { app, warnings } = yield* load({
        "auth/providers.json": providers,
        "secrets.json": { googleSecret: "g", facebookSecret: "f" }
      })
      assert.deepStrictEqual(warnings, [])
      assert.isTrue(Equal.equals(
        app,
        AppDefinition.make({
          appId: "shop-abcde",
          name: "shop",
          authProviders: {
            google: {
              clientId: "google-id",
              clientSecret: "googleSecret",
              metadataFields: [{ name: "email", required: true }, { name: "first_name" }],
              redirectUris: ["https://shop.example/signed-in", "http://localhost:3000/"],
              domainRestrictions: ["shop.example"]
            },
            facebook: { clientId: "facebook-id", clientSecret: "facebookSecret", metadataFields: [] },
            apple: { clientId: "apple-id" }
          },
          secrets: { googleSecret: Redacted.make("g"), facebookSecret: Redacted.make("f") }
        })
      ))
      const bare = yield* load({ "auth/providers.json": providers })
      assert.deepStrictEqual(bare.warnings.map(AppFolder.format), [
        "auth/providers.json:11: warning: The secret \"googleSecret\" is not there: add it to secrets.json, or the log-ins that need it are refused",
        "auth/providers.json:39: warning: The secret \"facebookSecret\" is not there: add it to secrets.json, or the log-ins that need it are refused"
      ])
      assert.strictEqual(bare.app.authProviders.google?.clientId, "google-id")
      assert.isUndefined(bare.app.authProviders.facebook)
      const off = yield* load({ "auth/providers.json": entry("oauth2-google", { disabled: true }) })
      assert.deepStrictEqual(off.warnings, [])
      assert.deepStrictEqual(
        yield* check({
          "auth/providers.json": {
            ...entry("oauth2-google", {
              config: { openId: true },
              redirect_uris: ["signed-in"],
              metadata_fields: [{ name: "locale" }]
            }),
            ...entry("oauth2-facebook", { config: { clientId: "x", colour: "red" } })
          }
        }),
        [
          "auth/providers.json:6: error: Missing key (clientId)",
          "auth/providers.json:10: error: Expected the whole address of a page, without a fragment",
          "auth/providers.json:13: warning: The metadata field \"locale\" is not supported and is ignored",
          "auth/providers.json:24: warning: The field \"colour\" is not supported and is ignored"
        ]
      )
      assert.deepStrictEqual(
        yield* check({ "auth/providers.json": entry("oauth2-facebook", { config: { clientId: "x" } }) }),
        ["auth/providers.json:6: error: Expected the name of the secret that proves the app to the provider (clientSecret)"]
      )
    }))

  it.effect("an export without its secrets is served, without the log-ins that need them", () =>
    Effect.gen(function*() {
      const { app, warnings } = yield* load({
        "auth/providers.json": customToken({}, { secret_config: { signingKeys: "absent" } })
      })
      assert.isFalse(app.authProviders.customJwt?.enabled)
      assert.deepStrictEqual(warnings.map(AppFolder.format), [
        "auth/providers.json:8: warning: The secret \"absent\" is not there: add it to secrets.json, or the log-ins that need it are refused"
      ])
    }))

  it.effect("a folder that is no app says what is missing", () =>
    Effect.gen(function*() {
      const absent = yield* Effect.flip(AppFolder.load("/no/such/folder"))
      assert.strictEqual(absent.reason._tag, "NotAnAppFolder")
      assert.match(absent.message, /there is no such folder/)
      const empty = yield* Effect.flip(Effect.flatMap(folder({ "README.md": "x" }), AppFolder.load))
      assert.match(empty.message, /it has none of root_config.json, realm_config.json, config.json, stitch.json/)
      // Whatever else lies there, as in somebody's home.
      const home = yield* folder({ "README.md": "x" })
      yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.symlink("nowhere", `${home}/link`))
      const other = yield* Effect.flip(AppFolder.load(home))
      assert.match(other.message, /it has none of root_config.json/)
      const nameless = yield* Effect.flip(Effect.flatMap(folder({ "root_config.json": {} }), AppFolder.load))
      assert.match(nameless.message, /root_config.json:1: error: Missing key \(app_id\)/)
      const file = yield* Effect.flip(
        Effect.flatMap(folder({ x: "" }), (directory) => AppFolder.load(`${directory}/x`))
      )
      assert.match(file.message, /it is a file/)
    }))

  it.effect("an app in the layout of before 2021 equals the same app in that of today", () =>
    Effect.gen(function*() {
      const rules = {
        database: "shop",
        collection: "orders",
        roles: [{ name: "owner", apply_when: { owner: "%%user.id" }, read: true, insert: true, delete: true }]
      }
      const schema = { bsonType: "object", title: "order" }
      const values = { "values/prices.json": { id: "3", name: "prices", value: { tea: 4 } } }
      const secrets = { googleSecret: "g" }
      const { app, warnings } = yield* Effect.flatMap(
        folder({
          ...values,
          "stitch.json": {
            app_id: "shop-abcde",
            config_version: 20_180_301,
            name: "shop",
            location: "US-VA",
            deployment_model: "GLOBAL",
            security: { allowed_request_origins: ["https://shop.example"] },
            hosting: {},
            sync: { state: "disabled" },
            custom_user_data_config: {
              enabled: true,
              mongo_service_id: "5e0000000000000000000001",
              database_name: "shop",
              collection_name: "people",
              user_id_field: "userId"
            }
          },
          "auth_providers/anon-user.json": { id: "a1", name: "anon-user", type: "anon-user", disabled: false },
          "auth_providers/api-key.json": { id: "a2", name: "api-key", type: "api-key", disabled: true },
          "auth_providers/custom-function.json": {
            id: "a3",
            name: "custom-function",
            type: "custom-function",
            config: { authFunctionId: "5e0000000000000000000002" },
            disabled: false
          },
          "auth_providers/oauth2-google.json": {
            id: "a4",
            name: "oauth2-google",
            type: "oauth2-google",
            config: { clientId: "google-id" },
            secret_config: { clientSecret: "googleSecret" },
            metadata_fields: [{ required: true, name: "email" }],
            redirect_uris: ["https://shop.example/back"],
            disabled: false
          },
          "secrets.json": { auth_providers: { "oauth2-google": { clientSecret: "g" } } },
          "functions/login/config.json": { id: "5e0000000000000000000002", name: "login", private: true },
          "functions/login/source.js": "exports = ({ id }) => id",
          "functions/sum/config.json": { id: "f2", name: "sum", private: false, can_evaluate: {} },
          "functions/sum/source.js": "exports = (a, b) => a + b",
          "services/mongodb-atlas/config.json": {
            id: "5e0000000000000000000001",
            name: "mongodb-atlas",
            type: "mongodb-atlas",
            config: { clusterName: "Cluster0" },
            version: 1
          },
          "services/mongodb-atlas/rules/shop.orders.json": { id: "r1", ...rules, schema, filters: [] },
          "services/gcm/config.json": { id: "s2", name: "gcm", type: "gcm", config: { senderId: "1" } }
        }),
        AppFolder.load
      )
      assert.deepStrictEqual(warnings, [])
      const today = yield* load({
        ...values,
        "root_config.json": { ...root, allowed_request_origins: ["https://shop.example"] },
        "auth/providers.json": {
          "anon-user": { name: "anon-user", type: "anon-user", disabled: false },
          "api-key": { name: "api-key", type: "api-key", disabled: true },
          "custom-function": {
            name: "custom-function",
            type: "custom-function",
            config: { authFunctionName: "login" },
            disabled: false
          },
          "oauth2-google": {
            name: "oauth2-google",
            type: "oauth2-google",
            config: { clientId: "google-id" },
            secret_config: { clientSecret: "googleSecret" },
            metadata_fields: [{ required: true, name: "email" }],
            redirect_uris: ["https://shop.example/back"],
            disabled: false
          }
        },
        "auth/custom_user_data.json": {
          enabled: true,
          mongo_service_name: "mongodb-atlas",
          database_name: "shop",
          collection_name: "people",
          user_id_field: "userId"
        },
        "secrets.json": secrets,
        "functions/config.json": [{ name: "login", private: true }, { name: "sum", can_evaluate: {} }],
        "functions/login.js": "exports = ({ id }) => id",
        "functions/sum.js": "exports = (a, b) => a + b",
        "data_sources/mongodb-atlas/config.json": { name: "mongodb-atlas", type: "mongodb-atlas" },
        "data_sources/mongodb-atlas/shop/orders/rules.json": rules,
        "data_sources/mongodb-atlas/shop/orders/schema.json": schema,
        "services/gcm/config.json": { name: "gcm", type: "gcm" }
      })
      assert.isTrue(Equal.equals(app, today.app))
      yield* Effect.gen(function*() {
        const { call } = yield* Functions.Functions
        assert.deepStrictEqual(yield* call({ name: "sum", args: [1, 2], caller: Functions.server }), new Int32(3))
      }).pipe(Effect.provide(Functions.layer(app, { workers: 1 })))
    }))

  it.effect("what is wrong with an app in the layout of before 2021, or not supported, is told by file and line", () =>
    Effect.gen(function*() {
      const findings = yield* Effect.flatMap(
        folder({
          "config.json": { app_id: "shop-abcde", name: "shop", config_version: 20_210_101, security: { x: 1 } },
          "auth_providers/anon-user.json": { name: "anonymous", type: "anon-user", disabled: false },
          "auth_providers/again.json": { name: "anon-user", type: "anon-user", disabled: false },
          "auth_providers/mongodb-cloud.json": { name: "mongodb-cloud", type: "mongodb-cloud", disabled: false },
          "auth_providers/custom-function.json": {
            type: "custom-function",
            config: { authFunctionId: "unknown" },
            disabled: false
          },
          "functions/absent/config.json": { name: "absent" },
          "functions/bare/source.js": "exports = () => 1",
          "functions/broken/config.json": {
            name: "broken",
            private: "no",
            can_evaluate: { "%%user.id": { "%regex": "a" } }
          },
          "functions/broken/source.js": "exports = (",
          "services/twilio/config.json": { id: "1", name: "twilio", type: "twilio", config: {} },
          "services/hook/incoming_webhooks/a/source.js": "exports = () => 1",
          "triggers/t.json": { id: "2", name: "t", type: "AUTHENTICATION" }
        }),
        AppFolder.check
      )
      assert.deepStrictEqual(findings.map(AppFolder.format), [
        "auth_providers/anon-user.json:1: error: There is another file for the provider \"anon-user\"",
        "auth_providers/custom-function.json:3: error: Missing key (authFunctionName)",
        "auth_providers/mongodb-cloud.json:1: warning: The provider \"mongodb-cloud\" is not supported yet: log-ins with it are refused",
        "config.json:4: error: Expected config_version 20180301 or 20200603, got 20210101",
        "config.json:6: warning: The field \"x\" is not supported and is ignored",
        "functions/absent/config.json:1: error: There is no file functions/absent/source.js for this function",
        "functions/broken/config.json:3: error: Expected boolean",
        "functions/broken/config.json:4: error: the operator \"%regex\" is not supported",
        "functions/broken/source.js:1: error: SyntaxError: Unexpected end of input",
        "services/hook:1: warning: Services without a type are not supported: context.services.get finds none. Functions reach other servers by context.http",
        "services/twilio/config.json:4: warning: Services of type \"twilio\" are not supported: context.services.get finds none. Functions reach other servers by context.http",
        "triggers:1: warning: Triggers are not supported yet; the folder is ignored"
      ])
    }))

  it.effect("a syntax error in JSON is told by its line", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "auth/providers.json": "{\n  \"anon-user\": {\n    \"name\" \"anon-user\"\n  }\n}",
          "functions/config.json": "[\n  // mine\n]",
          "values/a.json": ""
        }),
        [
          "auth/providers.json:3: error: The file is no valid JSON: Expected \":\"",
          "functions/config.json:2: error: The file is no valid JSON: Comments are not allowed in JSON",
          "values/a.json:1: error: The file is no valid JSON: Expected a value"
        ]
      )
    }))

  it.effect("a wrong type is told by the line of the field", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "root_config.json": {
            ...root,
            location: 7,
            environment: "staging",
            allowed_request_origins: ["shop.example"]
          },
          "functions/config.json": [{ name: "f", private: "yes" }],
          "functions/f.js": "exports = () => 1",
          "auth/providers.json": userpass({ autoConfirm: "true" })
        }),
        [
          "auth/providers.json:7: error: Expected boolean",
          "functions/config.json:4: error: Expected boolean",
          "root_config.json:5: error: Expected string",
          "root_config.json:6: error: Expected \"\" | \"development\" | \"testing\" | \"qa\" | \"production\"",
          "root_config.json:7: error: Expected an origin such as \"https://shop.example\", got \"shop.example\" (0)"
        ]
      )
    }))

  it.effect("a function source that does not parse is told by its line and the parser's words", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "functions/broken.js": "exports = function() {\n  const a = 1\n  const a = 2\n}",
          "functions/closes.js": "exports = () => 1 })(); (function() {",
          "functions/esm.js": "// a module\nexport default function() {}",
          "functions/nothing.js": "function f() {}",
          "functions/open.js": "exports = function() {\n"
        }),
        [
          "functions/broken.js:3: error: SyntaxError: Identifier 'a' has already been declared",
          "functions/closes.js:1: error: SyntaxError: Unexpected token '}'",
          "functions/esm.js:2: error: SyntaxError: Unexpected token 'export'; a function is assigned to exports, without import or export",
          "functions/nothing.js:1: error: The file assigns no function to exports: write exports = function() { … }",
          "functions/open.js:2: error: SyntaxError: Unexpected end of input"
        ]
      )
    }))

  it.effect("functions that are named and not there are told where they are named", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "auth/providers.json": {
            "custom-function": {
              name: "custom-function",
              type: "custom-function",
              disabled: false,
              config: { authFunctionName: "login" }
            }
          },
          "functions/config.json": [{ name: "absent" }, { name: "twice" }, { name: "twice" }],
          "functions/twice.js": "exports = () => 1"
        }),
        [
          "auth/providers.json:7: error: The app has no function \"login\"",
          "functions/config.json:3: error: There is no file functions/absent.js for this function, or it is listed twice",
          "functions/config.json:9: error: There is no file functions/twice.js for this function, or it is listed twice"
        ]
      )
    }))

  it.effect("a rule expression that is not supported is an error, not a rule that lets nobody or everybody in", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "functions/config.json": [{
            name: "f",
            can_evaluate: { "%%true": { "%function": { name: "g", arguments: [] } } }
          }],
          "functions/f.js": "exports = () => 1"
        }),
        ["functions/config.json:4: error: the operator \"%function\" is not supported here"]
      )
    }))

  it.effect("providers and fields that are not supported are warnings with their line", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "root_config.json": { ...root, sync: {}, colour: "red" },
          "auth/providers.json": {
            ...userpass({ autoConfirm: true, theme: "dark" }, { metadata_fields: [] }),
            "api-key": { name: "api-key", type: "api-key", disabled: false },
            "oauth2-github": { name: "oauth2-github", type: "oauth2-github", disabled: false }
          }
        }),
        [
          "auth/providers.json:8: warning: The field \"theme\" is not supported and is ignored",
          "auth/providers.json:17: warning: The provider \"oauth2-github\" is not supported yet: log-ins with it are refused",
          "root_config.json:6: warning: The field \"colour\" is not supported and is ignored"
        ]
      )
    }))

  it.effect("as whom functions run is read, and a script that does not parse is told by its line", () =>
    Effect.gen(function*() {
      const source = "exports = () => 1"
      const config = [
        { name: "a", run_as_system: true, run_as_user_id: "", run_as_user_id_script_source: "" },
        { name: "b", run_as_user_id: "5f87976b7b800b285345a8b4" },
        { name: "c", run_as_user_id_script_source: "exports = () => context.user.id" }
      ]
      const sources = { "functions/a.js": source, "functions/b.js": source, "functions/c.js": source }
      const { app, warnings } = yield* load({ "functions/config.json": config, ...sources })
      assert.deepStrictEqual(warnings, [])
      assert.deepStrictEqual(
        app.functions.map(({ runAsSystem, runAsUserId, runAsUserIdScriptSource }) => [
          runAsSystem,
          runAsUserId,
          runAsUserIdScriptSource
        ]),
        [
          [true, undefined, undefined],
          [false, "5f87976b7b800b285345a8b4", undefined],
          [false, undefined, "exports = () => context.user.id"]
        ]
      )
      assert.deepStrictEqual(
        yield* check({
          "functions/config.json": [{ name: "a", run_as_user_id_script_source: "exports = (" }],
          "functions/a.js": source
        }),
        ["functions/config.json:4: error: SyntaxError: Unexpected end of input"]
      )
    }))

  it.effect("packages that functions/package.json names are there for functions", () =>
    Effect.gen(function*() {
      const { app, warnings } = yield* load({
        "functions/package.json": { dependencies: { left: "1" } },
        "functions/node_modules/left/package.json": { name: "left" },
        "functions/node_modules/left/index.js": "module.exports = () => 'left'",
        "functions/go.js": "exports = () => require('left')()"
      })
      assert.deepStrictEqual([warnings, app.packages?.names], [[], ["left"]])
      yield* Effect.gen(function*() {
        const { call } = yield* Functions.Functions
        assert.strictEqual(yield* call({ name: "go", args: [], caller: Functions.server }), "left")
      }).pipe(Effect.provide(Functions.layer(app, { workers: 1 })))
    }), 30_000)

  it.effect("packages that are missing are told by file and line", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "functions/package.json": { dependencies: { gone: "1", esm: "1", dual: "1" } },
          "functions/node_modules/esm/package.json": { name: "esm", type: "module" },
          "functions/node_modules/dual/package.json": {
            type: "module",
            exports: { require: "./a.cjs", import: "./a.js" }
          },
          "functions/node_modules.tar.gz": "",
          "functions/go.js":
            "// require('comment')\nexports = () => {\n  require('node:crypto')\n  require('dual/sub')\n  return [require('fs'), require('@a/b/c')]\n}"
        }),
        [
          "functions/go.js:5: warning: require(\"fs\") finds nothing: " +
          "it is neither a module that functions may use nor a package that functions/package.json names",
          "functions/go.js:5: warning: require(\"@a/b/c\") finds nothing: " +
          "it is neither a module that functions may use nor a package that functions/package.json names",
          "functions/node_modules.tar.gz:1: warning: Archives of packages are not unpacked: " +
          "unpack it to functions/node_modules, and name the packages in functions/package.json; it is ignored",
          "functions/package.json:3: warning: The package \"gone\" is not installed: run npm install in the folder functions",
          "functions/package.json:4: warning: The package \"esm\" is an ES module, " +
          "which functions cannot require: use a version with CommonJS"
        ]
      )
      const [unnamed, archive] = yield* check({ "functions/node_modules/left/index.js": "not even ( JavaScript" })
      assert.match(String(unnamed), /^functions\/node_modules:1: warning: Name the packages/)
      assert.isUndefined(archive)
      const [wrong] = yield* check({ "functions/package.json": { dependencies: { "../away": "1" } } })
      assert.match(String(wrong), /^functions\/package.json:3: error: "..\/away" is no name of a package/)
    }))

  it.effect("push services are read from services/, and what cannot be one is told by file and line", () =>
    Effect.gen(function*() {
      const { app, warnings } = yield* load({
        "services/gcm/config.json": {
          id: "1",
          name: "gcm",
          type: "gcm",
          version: 1,
          config: { senderId: "7" },
          secret_config: { apiKey: "gcmKey" }
        },
        "services/unnamed/config.json": { type: "gcm" }
      })
      assert.deepStrictEqual(app.pushServices, [{ name: "gcm" }, { name: "unnamed" }])
      assert.deepStrictEqual(warnings, [])
      const findings = yield* check({
        "services/a/config.json": { name: "push", type: "gcm" },
        "services/b/config.json": { name: "push", type: "gcm" },
        "services/c/config.json": { name: 7, type: "gcm" },
        "services/d/config.json": { name: "d", type: "gcm", webhook: true },
        "services/d/rules/any.json": {},
        "services/e/config.json": { name: "e", type: "twilio" }
      })
      assert.deepStrictEqual(
        findings.map((line) => line.split(": ").slice(0, 2).join(" ")).filter((line) => line.includes("services")),
        [
          "services/c/config.json:2 error",
          "services/d/config.json:1 warning",
          "services/d/config.json:4 warning",
          "services/e/config.json:3 warning"
        ]
      )
    }))

  it.effect("HTTP services are read with their rules, and what is wrong with one is told by file and line", () =>
    Effect.gen(function*() {
      const config = { id: "1", name: "http", type: "http", config: {}, version: 1 }
      const { app, warnings } = yield* load({
        "services/http/config.json": config,
        "services/http/rules/reads.json": {
          id: "2",
          name: "reads",
          actions: ["get"],
          when: { "%%user.type": "normal" }
        }
      })
      assert.deepStrictEqual(warnings, [])
      assert.deepStrictEqual(app.httpServices, [
        { name: "http", rules: [{ name: "reads", actions: ["get"], when: { "%%user.type": "normal" } }] }
      ])
      assert.deepStrictEqual(
        yield* check({
          "services/a/config.json": { ...config, name: "a" },
          "services/a/incoming_webhooks/w/config.json": {},
          "services/b/config.json": { ...config, name: "b" },
          "services/b/rules/r.json": { name: "r", actions: ["trace"], when: { "%%root": 1 } },
          "services/b/rules/s.json": { name: "s", actions: ["get"] }
        }),
        [
          "services/a/config.json:1: warning: The service has no rule: clients cannot use it, functions can",
          "services/a/incoming_webhooks:1: warning: Webhooks are not supported yet; they are ignored",
          "services/b/rules/r.json:3: error: Expected \"get\" | \"post\" | \"put\" | \"patch\" | \"delete\" | \"head\" (0)",
          "services/b/rules/r.json:6: error: the expansion \"%%root\" is not supported here: use %%user, %%values, %%environment, %%request, %%args",
          "services/b/rules/s.json:1: error: Missing key (when)"
        ]
      )
    }))

  it.effect("each part that is left aside is one warning", () =>
    Effect.gen(function*() {
      const findings = yield* check({
        "graphql/config.json": {},
        "hosting/metadata.json": [],
        "http_endpoints/config.json": [],
        "log_forwarders/a.json": {},
        "services/push/config.json": {},
        "sync/config.json": {},
        "triggers/a.json": {},
        "triggers/b.json": {},
        ".mdb/meta.json": {},
        "README.md": ""
      })
      assert.deepStrictEqual(
        findings.map((line) => line.split(": ").slice(0, 2).join(" ")),
        [
          "graphql:1 warning",
          "hosting:1 warning",
          "http_endpoints:1 warning",
          "log_forwarders:1 warning",
          "services/push:1 warning",
          "sync:1 warning",
          "triggers:1 warning"
        ]
      )
    }))

  it.effect("data sources are read with their rules, from the folders of both layouts", () =>
    Effect.gen(function*() {
      const owner = { "owner": "%%user.id" }
      const { app, warnings } = yield* load({
        "data_sources/main/config.json": { name: "mongodb-atlas", type: "mongodb-atlas", config: {}, version: 1 },
        "data_sources/main/default_rule.json": { roles: [{ name: "none", apply_when: {}, read: false }], filters: [] },
        "data_sources/main/shop/items/relationships.json": {},
        "data_sources/main/shop/items/rules.json": {
          database: "shop",
          collection: "items",
          roles: [{
            name: "owner",
            apply_when: owner,
            document_filters: { read: true, write: owner },
            read: null,
            insert: true,
            delete: true,
            search: true,
            fields: { name: { read: true, write: true }, address: { fields: { city: { read: owner } } } },
            additional_fields: { read: true }
          }],
          filters: [{ name: "mine", apply_when: {}, query: owner, project: { secret: 0 } }]
        },
        "data_sources/main/shop/items/schema.json": { bsonType: "object", required: ["name"] },
        "data_sources/main/shop/plain/schema.json": {},
        "services/old/config.json": { id: "1", name: "old", type: "mongodb", config: {} },
        "services/old/rules/shop.notes.json": {
          id: "2",
          database: "shop",
          collection: "notes",
          roles: [{ name: "all", apply_when: {}, insert: true, delete: true, additional_fields: {} }],
          schema: { title: "note" }
        }
      })
      assert.deepStrictEqual(warnings, [])
      assert.deepStrictEqual(app.dataSources, [
        {
          name: "mongodb-atlas",
          collections: [
            {
              database: "shop",
              collection: "items",
              roles: [{
                name: "owner",
                applyWhen: owner,
                documentFilters: { read: true, write: owner },
                insert: true,
                delete: true,
                search: true,
                fields: { name: { read: true, write: true }, address: { fields: { city: { read: owner } } } },
                additionalFields: { read: true }
              }],
              filters: [{ name: "mine", applyWhen: {}, query: owner, projection: { secret: 0 } }],
              schema: { bsonType: "object", required: ["name"] }
            },
            { database: "shop", collection: "plain", roles: [], filters: [] }
          ],
          defaultRule: { roles: [{ name: "none", applyWhen: {}, read: false }], filters: [] }
        },
        {
          name: "old",
          collections: [{
            database: "shop",
            collection: "notes",
            roles: [{ name: "all", applyWhen: {}, insert: true, delete: true, additionalFields: {} }],
            filters: [],
            schema: { title: "note" }
          }]
        }
      ])
    }))

  it.effect("what is wrong with rules is told by file and line", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* check({
          "data_sources/lake/config.json": { name: "lake", type: "datalake" },
          "data_sources/main/config.json": { name: "mongodb-atlas", type: "mongodb-atlas" },
          "data_sources/main/shop/items/rules.json": {
            database: "shop",
            collection: "items",
            roles: [
              { name: "a", apply_when: { "%%root.owner": { "%who": 1 } }, read: true },
              { name: "b", apply_when: {}, write: true },
              { name: "c", read: true, colour: "red" }
            ],
            filters: [
              { name: "d", apply_when: { owner: "x" }, query: { n: { $who: 1 } } }
            ]
          },
          "data_sources/main/shop/notes/rules.json": {
            database: "shop",
            collection: "notes",
            roles: [{ name: "a", apply_when: { oner: "%%user.id" }, read: true, fields: { titel: { read: true } } }]
          },
          "data_sources/main/shop/notes/schema.json": { properties: { owner: { bsonType: "string" } } },
          "data_sources/main/shop/odd/rules.json": "",
          "data_sources/main/shop/wrong/schema.json": { properties: { a: { bsonType: "colour" } }, how: 1 }
        }),
        [
          "data_sources/lake/config.json:3: warning: Data sources of type \"datalake\" are not supported; this one is ignored",
          "data_sources/main/shop/items/rules.json:7: error: the operator \"%who\" is not supported",
          "data_sources/main/shop/items/rules.json:14: warning: The role may write but has no \"insert\": nothing can be inserted with it",
          "data_sources/main/shop/items/rules.json:14: warning: The role may write but has no \"delete\": nothing can be deleted with it",
          "data_sources/main/shop/items/rules.json:19: error: Missing key (apply_when)",
          "data_sources/main/shop/items/rules.json:22: warning: The field \"colour\" is not supported and is ignored",
          "data_sources/main/shop/items/rules.json:28: error: the field \"owner\" is not supported here: there is no document to look at",
          "data_sources/main/shop/items/rules.json:31: error: The filter cannot be used: unknown operator: $who.",
          "data_sources/main/shop/odd/rules.json:1: error: The file is no valid JSON: Expected a value",
          "data_sources/main/shop/wrong/schema.json:1: error: The keyword \"how\" of schemas is not supported",
          "data_sources/main/shop/wrong/schema.json:1: error: There is no type \"colour\""
        ]
      )
      assert.deepStrictEqual(
        yield* check({
          "data_sources/main/shop/notes/rules.json": {
            database: "shop",
            collection: "notes",
            roles: [{
              name: "a",
              apply_when: { oner: "%%user.customData.team" },
              read: true,
              fields: { titel: { read: true } }
            }]
          },
          "data_sources/main/shop/notes/schema.json": { properties: { owner: { bsonType: "string" } } }
        }),
        [
          "data_sources/main/shop/notes/rules.json:7: warning: \"%%user.customData.team\" is nothing, and equals nothing: there are %%user.id, %%user.type, %%user.data, %%user.custom_data, %%user.identities",
          "data_sources/main/shop/notes/rules.json:7: warning: The collection's schema knows no field \"oner\"",
          "data_sources/main/shop/notes/rules.json:12: warning: The collection's schema knows no field \"titel\""
        ]
      )
      assert.deepStrictEqual(
        yield* check({
          "data_sources/main/default_rule.json": {
            roles: [{
              name: "a",
              apply_when: { "%%true": { "%function": { name: "absent", arguments: [] } } },
              read: { owner: { "%function": { name: "gone" } } }
            }]
          }
        }),
        [
          "data_sources/main/default_rule.json:5: error: The app has no function \"absent\"",
          "data_sources/main/default_rule.json:13: error: The app has no function \"gone\""
        ]
      )
    }))

  it.effect("environment values replace their templates, of the environment in force and with their type", () =>
    Effect.gen(function*() {
      const { app } = yield* load({
        "root_config.json": { ...root, environment: "qa" },
        "environments/qa.json": { values: { host: "qa.example", auto: true, deep: { path: "p" } } },
        "environments/production.json": { values: { host: "live.example" } },
        "auth/providers.json": userpass({
          autoConfirm: "%(%%environment.values.auto)",
          resetPasswordUrl: "https://%(%%environment.values.host)/%(%%environment.values.deep.path)"
        })
      })
      assert.isTrue(app.authProviders.emailPassword?.autoConfirm)
      assert.strictEqual(app.authProviders.emailPassword?.resetPasswordUrl, "https://qa.example/p")
      assert.deepStrictEqual(app.environment.values["host"], "qa.example")

      assert.deepStrictEqual(
        yield* check({
          "auth/providers.json": userpass({ autoConfirm: true, resetPasswordUrl: "%(%%environment.values.x)" })
        }),
        ["auth/providers.json:8: error: The environment in force has no value \"x\": add it to its file in environments/"]
      )
    }))

  it.effect("secrets are read in both shapes and printed in none", () =>
    Effect.gen(function*() {
      const values = { "values/key.json": { name: "key", value: "apiKey", from_secret: true } }
      const { app: flat } = yield* load({ ...values, "secrets.json": { apiKey: "s3cret" } })
      const { app: nested } = yield* load({
        ...values,
        "auth/providers.json": {
          "oauth2-google": {
            name: "oauth2-google",
            type: "oauth2-google",
            disabled: true,
            secret_config: { clientSecret: "apiKey" }
          }
        },
        "secrets.json": { auth_providers: { "oauth2-google": { clientSecret: "s3cret" } } }
      })
      for (const app of [flat, nested]) {
        assert.strictEqual(Redacted.value(app.secrets["apiKey"] ?? Redacted.make("none")), "s3cret")
        assert.notInclude(`${String(app)}${JSON.stringify(app)}`, "s3cret")
      }
      const { app, warnings } = yield* load(values)
      assert.deepStrictEqual(app.values, [])
      assert.deepStrictEqual(warnings.map(AppFolder.format), [
        "values/key.json:3: warning: The secret \"apiKey\" is not there: add it to secrets.json, or the value stays undefined"
      ])
    }))

  it.effect("values keep their JSON, null included, and a name in the file wins over the file's name", () =>
    Effect.gen(function*() {
      const { app } = yield* load({
        "values/a.json": { id: "x", name: "first", value: { deep: [1, null] } },
        "values/b.json": { name: "b", value: null }
      })
      assert.deepStrictEqual(app.values, [{ name: "first", value: { deep: [1, null] } }, { name: "b", value: null }])
    }))

  it.effect("custom user data that is disabled is none", () =>
    Effect.gen(function*() {
      const { app } = yield* load({ "auth/custom_user_data.json": { enabled: false } })
      assert.isUndefined(app.customUserData)
    }))

  it.effect("load fails with every finding when there is an error, and its message names them", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(load({ "functions/f.js": "exports = (", "triggers/a.json": {} }))
      assert.strictEqual(error.reason._tag, "Invalid")
      assert.match(error.message, /has an error:\nfunctions\/f.js:1: error: SyntaxError/)
      if (error.reason._tag === "Invalid") {
        assert.deepStrictEqual(error.reason.findings.map((finding) => finding.severity), ["error", "warning"])
      }
    }))
})

it("an app made in TypeScript with a wrong option is refused with the field named", () => {
  const wrong: ReadonlyArray<readonly [options: object, message: RegExp]> = [
    [{ appId: 1 }, /appId/],
    [{ appId: "shop/abcde" }, /appId/],
    [{ appId: "a", functions: [{ name: "f", source: 1 }] }, /\["functions"\]\[0\]\["source"\]/],
    [{ appId: "a", functions: [{ name: "../f", source: "" }] }, /\["functions"\]\[0\]\["name"\]/],
    [
      { appId: "a", authProviders: { anonymous: { enabled: "yes" } } },
      /\["authProviders"\]\["anonymous"\]\["enabled"\]/
    ],
    [{ appId: "a", values: [{ name: "v", fromSecret: "none" }] }, /no secret "none"/],
    [{ appId: "a", secrets: { key: "s3cret" } }, /\["secrets"\]\["key"\]/]
  ]
  for (const [options, message] of wrong) {
    assert.throws(() => AppDefinition.make(options as never), message)
    try {
      AppDefinition.make(options as never)
    } catch (error) {
      assert.notInclude(String(error), "s3cret")
    }
  }
})
