import { assert, describe, it } from "@effect/vitest"
import * as Equal from "effect/Equal"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Api } from "../src/Api.ts"
import * as Endpoint from "../src/Endpoint.ts"

type Json = { readonly [key: string]: unknown }

const oid = "5f87976b7b800b285345a8b4"
const device = {
  platform: "chrome",
  platformVersion: "120.0.0",
  sdkVersion: "2.0.1",
  appId: "my-local-app",
  appVersion: "1.2.3",
  deviceId: { $oid: oid }
}
const ourDevice = { ...device, deviceId: oid }
const secret = Redacted.make("s3cret!")

interface Row {
  readonly endpoint: {
    readonly method: string
    readonly path: string
    readonly payload: HttpApiEndpoint.PayloadMap
    readonly success: ReadonlySet<Schema.Top>
  }
  /** Method and path as protocol section 0 has them. */
  readonly route: string
  /** Payloads in our names, and the bodies they are on the wire. */
  readonly payloads?: ReadonlyArray<readonly [ours: unknown, wire: Json]>
  /** The status of success, or more than one. */
  readonly status: number | ReadonlyArray<number>
  /** Answers in our names, and the bodies they are on the wire. */
  readonly answers?: ReadonlyArray<readonly [ours: unknown, wire: unknown]>
}

const base = "/api/client/v2.0"
const app = `${base}/app/:appId`
const userpass = `${app}/auth/providers/local-userpass`
const apiKeys = `${base}/auth/api_keys`

/** The answer to a log-in, with and without the refresh token that a link does not bring. */
const loggedIn: Row["answers"] = [
  [
    { accessToken: secret, refreshToken: secret, userId: "636aba021728b6c1c03db7f9", deviceId: "0".repeat(24) },
    {
      access_token: "s3cret!",
      refresh_token: "s3cret!",
      user_id: "636aba021728b6c1c03db7f9",
      device_id: "0".repeat(24)
    }
  ],
  [
    { accessToken: secret, refreshToken: null, userId: "u", deviceId: oid },
    { access_token: "s3cret!", refresh_token: null, user_id: "u", device_id: oid }
  ],
  [{ accessToken: secret, userId: "u", deviceId: oid }, { access_token: "s3cret!", user_id: "u", device_id: oid }]
]

const rows: Readonly<Record<string, Row>> = {
  location: {
    endpoint: Endpoint.location,
    route: `GET ${app}/location`,
    status: 200,
    answers: [[
      {
        deploymentModel: "LOCAL",
        location: "US-VA",
        hostname: "https://us-east-1.aws.services.cloud.mongodb.com",
        wsHostname: "wss://ws.us-east-1.aws.services.cloud.mongodb.com"
      },
      {
        deployment_model: "LOCAL",
        location: "US-VA",
        hostname: "https://us-east-1.aws.services.cloud.mongodb.com",
        ws_hostname: "wss://ws.us-east-1.aws.services.cloud.mongodb.com"
      }
    ]]
  },
  logInAnonymous: {
    endpoint: Endpoint.logInAnonymous,
    route: `POST ${app}/auth/providers/anon-user/login`,
    payloads: [[{}, {}], [{ options: { device: ourDevice } }, { options: { device } }], [{ options: {} }, {
      options: {}
    }]],
    status: 200,
    answers: loggedIn
  },
  logInEmailPassword: {
    endpoint: Endpoint.logInEmailPassword,
    route: `POST ${userpass}/login`,
    payloads: [[
      { email: "a@b.c", password: secret, options: { device: ourDevice } },
      { username: "a@b.c", password: "s3cret!", options: { device } }
    ]],
    status: 200,
    answers: loggedIn
  },
  logInFunction: {
    endpoint: Endpoint.logInFunction,
    route: `POST ${app}/auth/providers/custom-function/login`,
    payloads: [[{ ticket: { $oid: oid }, options: { device } }, { ticket: { $oid: oid }, options: { device } }]],
    status: 200,
    answers: loggedIn
  },
  logInApiKey: {
    endpoint: Endpoint.logInApiKey,
    route: `POST ${app}/auth/providers/api-key/login`,
    payloads: [[{ key: secret, options: { device: ourDevice } }, { key: "s3cret!", options: { device } }], [
      { key: secret },
      { key: "s3cret!" }
    ]],
    status: 200,
    answers: loggedIn
  },
  logInJwt: {
    endpoint: Endpoint.logInJwt,
    route: `POST ${app}/auth/providers/custom-token/login`,
    payloads: [[
      { token: secret, options: { device: ourDevice } },
      { token: "s3cret!", options: { device } }
    ], [{ token: secret }, { token: "s3cret!" }]],
    status: 200,
    answers: loggedIn
  },
  logInGoogle: {
    endpoint: Endpoint.logInGoogle,
    route: `POST ${app}/auth/providers/oauth2-google/login`,
    payloads: [
      [{ idToken: secret, options: { device: ourDevice } }, { id_token: "s3cret!", options: { device } }],
      [{ authCode: secret, options: { device: ourDevice } }, { authCode: "s3cret!", options: { device } }]
    ],
    status: 200,
    answers: loggedIn
  },
  logInFacebook: {
    endpoint: Endpoint.logInFacebook,
    route: `POST ${app}/auth/providers/oauth2-facebook/login`,
    payloads: [
      [{ accessToken: secret, options: { device: ourDevice } }, { accessToken: "s3cret!", options: { device } }]
    ],
    status: 200,
    answers: loggedIn
  },
  logInApple: {
    endpoint: Endpoint.logInApple,
    route: `POST ${app}/auth/providers/oauth2-apple/login`,
    payloads: [[{ idToken: secret, options: { device: ourDevice } }, { id_token: "s3cret!", options: { device } }]],
    status: 200,
    answers: loggedIn
  },
  redirectToGoogle: {
    endpoint: Endpoint.redirectToGoogle,
    route: `GET ${app}/auth/providers/oauth2-google/login`,
    status: [200, 302]
  },
  redirectToFacebook: {
    endpoint: Endpoint.redirectToFacebook,
    route: `GET ${app}/auth/providers/oauth2-facebook/login`,
    status: [200, 302]
  },
  redirectToApple: {
    endpoint: Endpoint.redirectToApple,
    route: `GET ${app}/auth/providers/oauth2-apple/login`,
    status: [200, 302]
  },
  redirectBack: { endpoint: Endpoint.redirectBack, route: `GET ${base}/auth/callback`, status: 302 },
  refreshSession: {
    endpoint: Endpoint.refreshSession,
    route: `POST ${base}/auth/session`,
    status: 201,
    answers: [[{ accessToken: secret }, { access_token: "s3cret!" }]]
  },
  deleteSession: { endpoint: Endpoint.deleteSession, route: `DELETE ${base}/auth/session`, status: 204 },
  profile: {
    endpoint: Endpoint.profile,
    route: `GET ${base}/auth/profile`,
    status: 200,
    answers: [[
      {
        userId: "5b5cc113058429b7820af78e",
        domainId: "5b57a0aad52e901c0de99faf",
        identities: [{
          id: "5b5cc113058429b7820af78b",
          providerType: "local-userpass",
          providerId: "5b58b5cf8f25b968ab2b4ecf"
        }],
        data: { email: "editor@test.com" },
        type: "normal"
      },
      {
        user_id: "5b5cc113058429b7820af78e",
        domain_id: "5b57a0aad52e901c0de99faf",
        identities: [{
          id: "5b5cc113058429b7820af78b",
          provider_type: "local-userpass",
          provider_id: "5b58b5cf8f25b968ab2b4ecf"
        }],
        data: { email: "editor@test.com" },
        type: "normal"
      }
    ], [{ identities: [], data: {} }, { identities: [], data: {} }]]
  },
  deleteUser: { endpoint: Endpoint.deleteUser, route: `DELETE ${base}/auth/delete`, status: 204 },
  register: {
    endpoint: Endpoint.register,
    route: `POST ${userpass}/register`,
    payloads: [[{ email: "a@b.c", password: secret }, { email: "a@b.c", password: "s3cret!" }]],
    status: 201
  },
  confirm: {
    endpoint: Endpoint.confirm,
    route: `POST ${userpass}/confirm`,
    payloads: [[{ token: secret, tokenId: oid }, { token: "s3cret!", tokenId: oid }]],
    status: 204
  },
  sendConfirmation: {
    endpoint: Endpoint.sendConfirmation,
    route: `POST ${userpass}/confirm/send`,
    payloads: [[{ email: "a@b.c" }, { email: "a@b.c" }]],
    status: 204
  },
  callConfirmation: {
    endpoint: Endpoint.callConfirmation,
    route: `POST ${userpass}/confirm/call`,
    payloads: [[{ email: "a@b.c" }, { email: "a@b.c" }]],
    status: 204
  },
  sendReset: {
    endpoint: Endpoint.sendReset,
    route: `POST ${userpass}/reset/send`,
    payloads: [[{ email: "a@b.c" }, { email: "a@b.c" }]],
    status: 204
  },
  reset: {
    endpoint: Endpoint.reset,
    route: `POST ${userpass}/reset`,
    payloads: [[{ token: secret, tokenId: oid, password: secret }, {
      token: "s3cret!",
      tokenId: oid,
      password: "s3cret!"
    }]],
    status: 204
  },
  callReset: {
    endpoint: Endpoint.callReset,
    route: `POST ${userpass}/reset/call`,
    payloads: [[{ email: "a@b.c", password: secret, arguments: ["blue", { $numberInt: "1" }] }, {
      email: "a@b.c",
      password: "s3cret!",
      arguments: ["blue", { $numberInt: "1" }]
    }]],
    status: 204
  },
  createApiKey: {
    endpoint: Endpoint.createApiKey,
    route: `POST ${apiKeys}`,
    payloads: [[{ name: "my-key" }, { name: "my-key" }]],
    status: 201,
    answers: [[
      { id: oid, key: secret, name: "my-key", disabled: false },
      { _id: oid, key: "s3cret!", name: "my-key", disabled: false }
    ]]
  },
  fetchApiKeys: {
    endpoint: Endpoint.fetchApiKeys,
    route: `GET ${apiKeys}`,
    status: 200,
    answers: [[[{ id: oid, name: "my-key", disabled: true }], [{ _id: oid, name: "my-key", disabled: true }]], [[], []]]
  },
  fetchApiKey: {
    endpoint: Endpoint.fetchApiKey,
    route: `GET ${apiKeys}/:id`,
    status: 200,
    answers: [[{ id: oid, name: "my-key", disabled: false }, { _id: oid, name: "my-key", disabled: false }]]
  },
  deleteApiKey: { endpoint: Endpoint.deleteApiKey, route: `DELETE ${apiKeys}/:id`, status: 204 },
  enableApiKey: { endpoint: Endpoint.enableApiKey, route: `PUT ${apiKeys}/:id/enable`, status: 204 },
  registerPush: {
    endpoint: Endpoint.registerPush,
    route: `PUT ${base}/app/:appId/push/providers/:service/registration`,
    payloads: [[{ registrationToken: secret }, { registrationToken: "s3cret!" }]],
    status: 204
  },
  deregisterPush: {
    endpoint: Endpoint.deregisterPush,
    route: `DELETE ${base}/app/:appId/push/providers/:service/registration`,
    status: 204
  },
  disableApiKey: { endpoint: Endpoint.disableApiKey, route: `PUT ${apiKeys}/:id/disable`, status: 204 },
  callFunction: {
    endpoint: Endpoint.callFunction,
    route: `POST ${app}/functions/call`,
    payloads: [
      [{ name: "sum", arguments: [{ $numberInt: "1" }, { $numberInt: "2" }] }, {
        name: "sum",
        arguments: [{ $numberInt: "1" }, { $numberInt: "2" }]
      }],
      [{ name: "find", service: "mongodb-atlas", arguments: [{ database: "db", collection: "c", query: {} }] }, {
        name: "find",
        service: "mongodb-atlas",
        arguments: [{ database: "db", collection: "c", query: {} }]
      }]
    ],
    status: 200,
    answers: [[{ $numberInt: "3" }, { $numberInt: "3" }], [null, null], ["text", "text"], [[1], [1]]]
  },
  streamFunction: { endpoint: Endpoint.streamFunction, route: `GET ${app}/functions/call`, status: 200 }
}

// The schemas of an endpoint need no services, which the sets of an endpoint have forgotten.
const codec = (schema: Schema.Top) => schema as Schema.Codec<unknown, unknown>

const roundTrip = (schema: Schema.Top, ours: unknown, wire: unknown): void => {
  assert.deepStrictEqual(Schema.encodeUnknownSync(codec(schema))(ours), wire)
  const read = Schema.decodeUnknownSync(codec(schema))(wire)
  assert.deepStrictEqual(Schema.encodeUnknownSync(codec(schema))(read), wire)
  // A secret is equal to another of the same text.
  assert.isTrue(Equal.equals(read, ours), JSON.stringify(read))
}

/** The operations of the API as the OpenAPI document has them, by method and path. */
const operations = new Map<string, OpenApi.OpenAPISpecOperation>(
  Object.entries(OpenApi.fromApi(Api).paths).flatMap(([path, { delete: delete_, get, post, put }]) =>
    Object.entries({ DELETE: delete_, GET: get, POST: post, PUT: put }).flatMap(([method, operation]) =>
      operation === undefined ? [] : [[`${method} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`, operation] as const]
    )
  )
)

describe("The endpoints", () => {
  for (const [name, { answers, endpoint, payloads, route, status }] of Object.entries(rows)) {
    it(`${name} has the method, the path and the names of the protocol`, () => {
      assert.strictEqual(`${endpoint.method} ${endpoint.path}`, route)
      const accepted = [...endpoint.payload.values()].flatMap(({ schemas }) => schemas)
      assert.strictEqual(accepted.length, payloads === undefined ? 0 : 1)
      for (const [ours, wire] of payloads ?? []) roundTrip(accepted[0]!, ours, wire)
      const [success] = endpoint.success
      const answered = Object.keys(operations.get(route)?.responses ?? {}).filter((code) => /^[23]/.test(code))
      assert.deepStrictEqual(answered, [status].flat().map(String))
      for (const [ours, wire] of answers ?? []) roundTrip(success!, ours, wire)
    })
  }

  it("read a device id as the redirect flow sends it, too, and any part of a device", () => {
    const read = Schema.decodeUnknownSync(Endpoint.Device)
    assert.strictEqual(read({ deviceId: oid }).deviceId, oid)
    assert.strictEqual(read({ deviceId: { $oid: oid } }).deviceId, oid)
    assert.deepStrictEqual(read({ platform: "ios", sdk: "core", cpuArch: "" }), { platform: "ios" })
  })

  it("show no secret of a payload that was decoded", () => {
    const [{ schemas } = { schemas: [] }] = Endpoint.logInEmailPassword.payload.values()
    const read = Schema.decodeUnknownSync(codec(schemas[0]!))({ username: "a", password: "s3cret!" })
    assert.notInclude(JSON.stringify(read), "s3cret!")
  })

  it("name what a page finds behind the # of its address as the protocol does", () => {
    const ours = {
      state: "abc",
      appId: "shop-abcde",
      userAuth: secret,
      link: "ok",
      error: "no",
      errorCode: "AuthError"
    }
    roundTrip(Endpoint.Redirected, ours, {
      _baas_state: "abc",
      _baas_client_app_id: "shop-abcde",
      _baas_ua: "s3cret!",
      _baas_link: "ok",
      _baas_error: "no",
      _baas_error_code: "AuthError"
    })
  })

  it("are all in the API, and the API has no other", () => {
    const inApi = Object.values(Api.groups).flatMap((group) => Object.keys(group.endpoints))
    assert.deepStrictEqual(inApi.toSorted(), Object.keys(rows).toSorted())
    const declared = Object.entries(Endpoint).filter(([, value]) => Predicate.hasProperty(value, "method"))
    assert.deepStrictEqual(declared.map(([name]) => name).toSorted(), Object.keys(rows).toSorted())
  })

  it("each say which token they take, and what sending them again does", () => {
    assert.strictEqual(operations.size, Object.keys(rows).length)
    for (const operation of operations.values()) {
      assert.match(operation.description ?? "", /^(No|Access|Refresh) token/, operation.operationId)
    }
  })
})
