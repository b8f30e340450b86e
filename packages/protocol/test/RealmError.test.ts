import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Endpoint from "../src/Endpoint.ts"
import * as RealmError from "../src/RealmError.ts"

/** The codes of protocol section 11.2, both lists, as they stand there. */
const codes = [
  "MissingAuthReq",
  "InvalidSession",
  "UserAppDomainMismatch",
  "DomainNotAllowed",
  "ReadSizeLimitExceeded",
  "InvalidParameter",
  "MissingParameter",
  "TwilioError",
  "GCMError",
  "HTTPError",
  "AWSError",
  "MongoDBError",
  "ArgumentsNotAllowed",
  "FunctionExecutionError",
  "NoMatchingRuleFound",
  "InternalServerError",
  "AuthProviderNotFound",
  "AuthProviderAlreadyExists",
  "ServiceNotFound",
  "ServiceTypeNotFound",
  "ServiceAlreadyExists",
  "ServiceCommandNotFound",
  "ValueNotFound",
  "ValueAlreadyExists",
  "ValueDuplicateName",
  "FunctionNotFound",
  "FunctionAlreadyExists",
  "FunctionDuplicateName",
  "FunctionSyntaxError",
  "FunctionInvalid",
  "IncomingWebhookNotFound",
  "IncomingWebhookAlreadyExists",
  "IncomingWebhookDuplicateName",
  "RuleNotFound",
  "APIKeyNotFound",
  "RuleAlreadyExists",
  "RuleDuplicateName",
  "AuthProviderDuplicateName",
  "RestrictedHost",
  "APIKeyAlreadyExists",
  "IncomingWebhookAuthFailed",
  "ExecutionTimeLimitExceeded",
  "NotCallable",
  "UserAlreadyConfirmed",
  "UserNotFound",
  "UserDisabled",
  "AuthError",
  "BadRequest",
  "AccountNameInUse",
  "InvalidPassword",
  "SchemaValidationFailedWrite",
  "MaintenanceInProgress",
  "UserpassTokenInvalid",
  "NoMatchingRoleFound",
  "InvalidRedirectURI",
  "LinkingNotSupported",
  "InvalidAuthReq",
  "SchemaValidationFailedRead",
  "UncaughtPromiseRejection",
  "PromiseRejected",
  "OperationCanceled",
  "ExecutionMemoryLimitExceeded",
  "FunctionMaxStackDepthError",
  "InvalidJSON",
  "RestrictedUIIP",
  "EndpointNotFound",
  // Of this project: answers to what no client of App Services asks for.
  "ChangeStreamHistoryLost",
  "InvalidResumeToken"
]

/** The status that a confirmed row of protocol sections 3 to 11 gives to a code. */
const statuses: Readonly<Record<string, number>> = {
  InvalidPassword: 401,
  AuthError: 401,
  InvalidSession: 401,
  AccountNameInUse: 409,
  BadRequest: 400,
  InvalidParameter: 400,
  UserAlreadyConfirmed: 400,
  UserNotFound: 404,
  FunctionNotFound: 404,
  APIKeyNotFound: 404,
  APIKeyAlreadyExists: 409,
  MaintenanceInProgress: 500,
  InternalServerError: 500
}

const families = {
  AuthError: RealmError.authCodes,
  SessionError: RealmError.sessionCodes,
  FunctionError: RealmError.functionCodes,
  DataError: RealmError.dataCodes,
  ApiKeyError: RealmError.apiKeyCodes,
  ServiceError: RealmError.serviceCodes,
  RequestError: RealmError.requestCodes,
  AppError: RealmError.appCodes
}

const refused = (status: number, body: unknown): RealmError.RealmError =>
  Option.getOrThrow(RealmError.fromWire(status, body))

const reasonOf = (error: RealmError.RealmError): string =>
  error._tag === "UnknownServiceError" ? error._tag : `${error._tag}.${error.reason._tag}`

describe("The table of error codes", () => {
  it("has every code of the protocol in exactly one family, and no other", () => {
    for (const code of codes) {
      const homes = Object.entries(families).filter(([, known]) => Object.hasOwn(known, code)).map(([family]) => family)
      assert.deepStrictEqual([code, homes], [code, [RealmError.table.get(code)?.family]])
    }
    const known = [...RealmError.table].filter(([, { codeless }]) => codeless !== true).map(([code]) => code)
    assert.deepStrictEqual(known.toSorted(), codes.toSorted())
    const listed = Object.values(families).flatMap((family) => Object.keys(family))
    assert.strictEqual(new Set(listed).size, listed.length)
    assert.strictEqual(RealmError.table.size, listed.length)
  })

  it("has the statuses that are confirmed, and for every code one that endpoints declare", () => {
    for (const [code, status] of Object.entries(statuses)) {
      assert.strictEqual(RealmError.table.get(code)?.status, status, code)
    }
    const declared = RealmError.responses(["AuthError"]).length
    const used = new Set([...RealmError.table.values()].map((code) => code.status))
    assert.isAtLeast(declared, used.size)
    for (const status of used) assert.include([400, 401, 403, 404, 409, 413, 415, 429, 500, 503], status)
  })

  it("says of every code what to do", () => {
    for (const [code, { advice }] of RealmError.table) assert.match(advice, /\.$/, code)
  })
})

describe("A refusal", () => {
  const link = "https://services.cloud.mongodb.com/groups/g/apps/a/logs?co_id=63f506d9d243efe65aa33430"

  it("of every code survives the wire, with any status", () => {
    for (const code of codes) {
      for (const status of [RealmError.table.get(code)!.status, 418]) {
        const wire = { error: `the server's words for ${code}`, error_code: code, link }
        const error = refused(status, wire)
        assert.strictEqual(reasonOf(error), `${RealmError.table.get(code)!.family}.${code}`)
        assert.strictEqual(RealmError.status(error), status)
        assert.deepStrictEqual(RealmError.toWire(error), wire)
        assert.include(error.message, wire.error)
        assert.instanceOf(error, Error)
      }
    }
  })

  it("made from a code has its usual status and reads as what the wire would tell", () => {
    const made = RealmError.make("FunctionNotFound", "function not found: 'x'", { link })
    assert.deepStrictEqual(refused(404, RealmError.toWire(made)), made)
    assert.strictEqual(
      made.message,
      "FunctionNotFound: function not found: 'x' (status 404). Check the name against the app's functions/ folder."
    )
    assert.strictEqual(RealmError.status(RealmError.make("InternalServerError", "x", { status: 503 })), 503)
  })

  it("without a code is told by its status where that speaks for itself", () => {
    const told: ReadonlyArray<readonly [number, string, string]> = [
      [400, "failed to reset password for user \"a\"", "RequestError.BadRequest"],
      [400, "invalid function call request", "RequestError.BadRequest"],
      [401, "unauthorized", "SessionError.Unauthorized"],
      [401, "signature is invalid", "SessionError.Unauthorized"],
      [404, "cannot find app using Client App ID 'x'", "AppError.AppNotFound"],
      [404, "page not found", "UnknownServiceError"],
      [413, "too large", "RequestError.PayloadTooLarge"],
      [415, "unsupported", "RequestError.UnsupportedMediaType"],
      [429, "slow down", "RequestError.TooManyRequests"],
      [500, "error processing request", "UnknownServiceError"],
      [403, "linking forbidden without first specifying allowed request origins", "RequestError.Forbidden"]
    ]
    for (const [status, error, expected] of told) {
      for (const body of [{ error }, { error, error_code: "" }, { error, error_code: null }]) {
        const refusal = refused(status, body)
        assert.strictEqual(reasonOf(refusal), expected, error)
        // A bad request has a code of its own, which says the same.
        assert.deepStrictEqual(
          RealmError.toWire(refusal),
          status === 400 ? { error, error_code: "BadRequest" } : { error }
        )
        assert.strictEqual(RealmError.status(refusal), status)
      }
    }
  })

  it("keeps how long its server wants to be left alone, in whatever family it ends up, and sends it in no body", () => {
    const retryAfter = 90_000
    const of = (status: number, body: RealmError.Wire) =>
      Option.getOrThrow(RealmError.fromWire(status, body, { retryAfter }))
    const tooMany = of(429, { error: "slow down" })
    assert.isTrue(tooMany._tag === "RequestError" && tooMany.reason.retryAfter === retryAfter)
    const unknown = of(503, { error: "slow down", error_code: "Overloaded" })
    assert.isTrue(unknown._tag === "UnknownServiceError" && unknown.retryAfter === retryAfter)
    const narrowed = RealmError.narrow(of(404, { error: "no", error_code: "APIKeyNotFound" }), Endpoint.location.error)
    assert.isTrue(narrowed._tag === "UnknownServiceError" && narrowed.retryAfter === retryAfter)
    for (const error of [tooMany, unknown, narrowed]) assert.notProperty(RealmError.toWire(error), "retryAfter")
    assert.notProperty(refused(429, { error: "slow down" }), "retryAfter")
  })

  it("with a code of tomorrow keeps it, and so does one named like a codeless reason or an object's own", () => {
    for (const code of ["QuotumExceeded", "Unauthorized", "AppNotFound", "constructor", "__proto__", "toString"]) {
      const wire = { error: "words", error_code: code, link }
      const error = refused(400, wire)
      assert.isTrue(error._tag === "UnknownServiceError" && error.code === code, code)
      assert.deepStrictEqual(RealmError.toWire(error), wire)
      assert.include(error.message, code)
    }
  })

  it("is known by the names of newer servers, too", () => {
    assert.strictEqual(
      reasonOf(refused(400, { error: "private", error_code: "FunctionNotCallable" })),
      "FunctionError.NotCallable"
    )
  })

  it("has words even where the server has none", () => {
    const error = refused(401, { error_code: "InvalidPassword" })
    assert.include(error.message, "no error message")
    assert.strictEqual(reasonOf(error), "AuthError.InvalidPassword")
  })

  it("is what it is, whatever is taken out of the words that it shows", () => {
    const redact = (words: string) => words.replaceAll("InvalidPassword", "…").replaceAll("secret", "…")
    const of = (status: number, body: RealmError.Wire) =>
      Option.getOrThrow(RealmError.fromWire(status, body, { redact }))
    const known = of(401, { error: "not the secret", error_code: "InvalidPassword", link: "http://log?secret" })
    assert.strictEqual(reasonOf(known), "AuthError.InvalidPassword")
    assert.deepStrictEqual(RealmError.toWire(known), {
      error: "not the …",
      error_code: "InvalidPassword",
      link: "http://log?…"
    })
    assert.deepStrictEqual(RealmError.toWire(of(400, { error: "x", error_code: "secret" })), {
      error: "x",
      error_code: "…"
    })
    const everything = Option.getOrThrow(RealmError.fromWire(401, { error: "secret" }, { redact: () => "" }))
    assert.include(everything.message, "no error message")
  })

  it("is none when the body is not of the protocol", () => {
    for (
      const body of [null, undefined, "text", 7, [], ["error"], {}, { error: "" }, { error: 7 }, { message: "x" }, {
        error_code: 7
      }]
    ) {
      assert.deepStrictEqual(RealmError.fromWire(400, body), Option.none(), JSON.stringify(body))
    }
  })

  it.effect("can be caught by family and by reason", () =>
    Effect.gen(function*() {
      const failing: Effect.Effect<string, RealmError.AuthError | RealmError.SessionError> = Effect.fail(
        RealmError.make("InvalidPassword", "unauthorized")
      )
      const caught = yield* failing.pipe(
        Effect.catchTag("SessionError", () => Effect.succeed("session")),
        Effect.catchReason("AuthError", "InvalidPassword", (reason) => Effect.succeed(reason.message))
      )
      assert.strictEqual(caught, "unauthorized")
    }))
})

describe("A refusal of any length", () => {
  it("makes an error that can be shown: each text is cut, and says so", () => {
    const long = "x".repeat(10_000_000)
    for (const code of ["FunctionExecutionError", "BadRequest", long]) {
      const error = Option.getOrThrow(RealmError.fromWire(400, { error: long, error_code: code, link: long }))
      assert.isBelow(error.message.length, 40_000)
      assert.isBelow(JSON.stringify(error).length, 80_000)
      assert.include(error.message, "… (10000000 characters)")
    }
  })

  it("keeps what a function may throw on purpose", () => {
    const document = JSON.stringify({ lines: Array.from({ length: 500 }, (_, line) => `line ${line}`) })
    const error = Option.getOrThrow(
      RealmError.fromWire(400, { error: document, error_code: "FunctionExecutionError" })
    )
    assert.isTrue(error._tag === "FunctionError" && error.reason.message === document)
  })
})

describe("An endpoint's refusals", () => {
  it("are narrowed to what it declares: another family becomes unknown, with its code", () => {
    const own = RealmError.make("FunctionNotFound", "x")
    assert.strictEqual(RealmError.narrow(own, Endpoint.callFunction.error), own)
    const strange = RealmError.narrow(
      RealmError.make("APIKeyNotFound", "x", { link: "l" }),
      Endpoint.callFunction.error
    )
    assert.isTrue(strange._tag === "UnknownServiceError" && strange.code === "APIKeyNotFound" && strange.link === "l")
    for (const always of [RealmError.make("BadRequest", "x"), RealmError.make("AppNotFound", "x")]) {
      assert.strictEqual(RealmError.narrow(always, Endpoint.location.error), always)
    }
  })

  it("encode as the body of the protocol, each with its own status, and decode again", () => {
    const schemas = RealmError.responses(["AuthError", "SessionError", "FunctionError"])
    const expected: ReadonlyArray<
      readonly [RealmError.AuthError | RealmError.SessionError | RealmError.FunctionError, unknown]
    > = [
      [RealmError.make("InvalidPassword", "unauthorized"), { error: "unauthorized", error_code: "InvalidPassword" }],
      [RealmError.make("Unauthorized", "must authenticate first"), { error: "must authenticate first" }],
      [RealmError.make("FunctionNotFound", "function not found: 'x'", { link: "l" }), {
        error: "function not found: 'x'",
        error_code: "FunctionNotFound",
        link: "l"
      }]
    ]
    for (const [error, wire] of expected) {
      const fitting = schemas.filter((schema) => Schema.is(schema)(error))
      assert.strictEqual(fitting.length, 1)
      assert.deepStrictEqual(Schema.encodeUnknownSync(fitting[0]!)(error), wire)
      assert.deepStrictEqual(Schema.decodeUnknownSync(fitting[0]!)(wire), error)
    }
    assert.isFalse(schemas.some((schema) => Schema.is(schema)(RealmError.make("APIKeyNotFound", "x"))))
  })
})
