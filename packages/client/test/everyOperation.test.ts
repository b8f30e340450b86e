/**
 * What is around every operation of the client: one span, metrics, one policy. The table names everything that the modules
 * have, so that a new operation has to say here what it is.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import * as Faults from "@effect-realm/testing/Faults"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Metric, Option, Redacted, Schedule, Schema, Stream } from "effect"
import type { Scope } from "effect"
import type { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as Client from "../src/index.ts"
import * as World from "./laws/world.ts"
import * as Scripted from "./scripted.ts"
import * as Spans from "./support/spans.ts"

const { ApiKeys, App, Collection, Credentials, EmailPassword, Metrics, OAuth, Push, TokenStore, User } = Client

// -----------------------------------------------------------------------------
// The table
// -----------------------------------------------------------------------------

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const account = { email: "ann@example.com", password: "secret of ann" }
const credentials = Credentials.emailPassword(account)
const mailed = { token: "secret of a link", tokenId: "1" }
const page = { provider: "google", redirectUri: "https://shop.example/signed-in" } as const
const returned = {
  appId: app.id,
  provider: "google",
  userId: "u1",
  deviceId: "000000000000000000000000",
  accessToken: Redacted.make(Scripted.accessToken("u1"))
} as const
const sum = RealmFunction.make("sum", { args: [Schema.Int, Schema.Int], success: Schema.Int })
const Service = Context.Service<Client.User.User>("EveryOperation/User")

interface Given {
  readonly user: Client.User.User
  readonly orders: Client.Collection.Collection<Client.Filter.Document, Client.Filter.Document>
}

type Run = (given: Given) => Effect.Effect<
  unknown,
  unknown,
  HttpClient.HttpClient | Client.TokenStore.TokenStore | Scope.Scope
>

/** An operation that asks the server for something. */
interface Sending {
  readonly run: Run
  /** Its endpoint: the route of its span. */
  readonly endpoint: { readonly identifier: string; readonly method: string; readonly path: string }
  /** Its first request only reads, so that a policy may repeat it. */
  readonly reads?: true
  /** What its span says beside that: names, never values. */
  readonly about?: { readonly [name: string]: string }
  /** The name of its span, where it is another operation's. */
  readonly span?: string
}

/** A function that asks nobody. */
interface Local {
  readonly run: (given: Given) => unknown
  readonly endpoint?: never
}

const local = (run: Local["run"]): Local => ({ run })

const call = (run: Run, more?: Partial<Sending>): Sending => ({
  run,
  endpoint: Endpoint.callFunction,
  about: { "realm.function": "sum" },
  ...more
})

const onOrders = (
  run: (orders: Given["orders"]) => ReturnType<Run>,
  more?: Partial<Sending>
): Sending =>
  call(({ orders }) => run(orders), {
    about: { "realm.service": "mongodb-atlas", "db.namespace": "shop", "db.collection.name": "orders" },
    ...more
  })

const push = { "realm.service": "gcm" }
const one = { _id: 1 }
const set = { $set: { paid: true } }

/** By module and name; what comes after a colon tells two ways to call the same apart. */
const table: { readonly [module: string]: { readonly [name: string]: Sending | Local } } = {
  App: {
    make: local(() => App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })),
    logIn: { run: () => App.logIn(app, credentials), endpoint: Endpoint.logInEmailPassword },
    logInScoped: {
      run: () => App.logInScoped(app, credentials),
      endpoint: Endpoint.logInEmailPassword,
      span: "App.logIn"
    },
    layerUser: {
      run: () => Layer.build(App.layerUser(Service, app, credentials)),
      endpoint: Endpoint.logInEmailPassword,
      span: "App.logIn"
    },
    currentUser: local(() => App.currentUser(app)),
    allUsers: local(() => App.allUsers(app)),
    importRealmWeb: local(() => App.importRealmWeb(app, { getItem: () => null, setItem: () => {} })),
    switchUser: local(({ user }) => App.switchUser(app, user)),
    removeUser: { run: ({ user }) => App.removeUser(app, user), endpoint: Endpoint.deleteSession },
    deleteUser: { run: ({ user }) => App.deleteUser(app, user), endpoint: Endpoint.deleteUser },
    location: { run: () => App.location(app), endpoint: Endpoint.location, reads: true },
    events: local(() => Stream.runHead(Stream.interruptWhen(App.events(app), Effect.void)))
  },
  User: {
    make: local(() => User.make({ appId: app.id, baseUrl: app.baseUrl, id: "u1" })),
    state: local(({ user }) => User.state(user)),
    isLoggedIn: local(({ user }) => User.isLoggedIn(user)),
    providerType: local(({ user }) => User.providerType(user)),
    identities: local(({ user }) => User.identities(user)),
    profile: local(({ user }) => User.profile(user)),
    deviceId: local(({ user }) => User.deviceId(user)),
    refreshToken: local(({ user }) => User.refreshToken(user)),
    customData: local(({ user }) => User.customData(user)),
    refresh: { run: ({ user }) => User.refresh(user), endpoint: Endpoint.refreshSession },
    accessToken: {
      run: ({ user }) => Effect.andThen(TestClock.adjust("1 hour"), User.accessToken(user)),
      endpoint: Endpoint.refreshSession
    },
    refreshCustomData: { run: ({ user }) => User.refreshCustomData(user), endpoint: Endpoint.refreshSession },
    refreshProfile: { run: ({ user }) => User.refreshProfile(user), endpoint: Endpoint.profile, reads: true },
    linkCredentials: {
      run: ({ user }) => User.linkCredentials(user, credentials),
      endpoint: Endpoint.logInEmailPassword
    },
    logOut: { run: ({ user }) => User.logOut(user), endpoint: Endpoint.deleteSession },
    callFunction: call(({ user }) => User.callFunction(user, "sum", [1, 2])),
    "callFunction: by contract": call(({ user }) => User.callFunction(user, sum, [1, 2])),
    callServiceFunction: call(({ user }) => User.callServiceFunction(user, "http", "sum"), {
      about: { "realm.function": "sum", "realm.service": "http" }
    }),
    callFunctionStreaming: call(({ user }) => Stream.runDrain(User.callFunctionStreaming(user, "sum")), {
      endpoint: Endpoint.streamFunction
    }),
    functions: call(({ user }) => User.functions(user)["sum"]!(1, 2), { span: "User.callFunction" }),
    "functions: of a group": call(({ user }) => User.functions(user, { sum }).sum(1, 2), { span: "User.callFunction" }),
    mongoClient: local(({ user }) => User.mongoClient(user).db("shop").collection("orders")),
    events: local(({ user }) => Stream.runHead(Stream.interruptWhen(User.events(user), Effect.void)))
  },
  ApiKeys: {
    create: { run: ({ user }) => ApiKeys.create(user, "import"), endpoint: Endpoint.createApiKey },
    fetch: { run: ({ user }) => ApiKeys.fetch(user, "1"), endpoint: Endpoint.fetchApiKey, reads: true },
    fetchAll: { run: ({ user }) => ApiKeys.fetchAll(user), endpoint: Endpoint.fetchApiKeys, reads: true },
    enable: { run: ({ user }) => ApiKeys.enable(user, "1"), endpoint: Endpoint.enableApiKey },
    disable: { run: ({ user }) => ApiKeys.disable(user, "1"), endpoint: Endpoint.disableApiKey },
    delete: { run: ({ user }) => ApiKeys.delete(user, "1"), endpoint: Endpoint.deleteApiKey }
  },
  EmailPassword: {
    registerUser: { run: () => EmailPassword.registerUser(app, account), endpoint: Endpoint.register },
    confirmUser: { run: () => EmailPassword.confirmUser(app, mailed), endpoint: Endpoint.confirm },
    resendConfirmationEmail: {
      run: () => EmailPassword.resendConfirmationEmail(app, account),
      endpoint: Endpoint.sendConfirmation
    },
    retryCustomConfirmation: {
      run: () => EmailPassword.retryCustomConfirmation(app, account),
      endpoint: Endpoint.callConfirmation
    },
    sendResetPasswordEmail: {
      run: () => EmailPassword.sendResetPasswordEmail(app, account),
      endpoint: Endpoint.sendReset
    },
    resetPassword: { run: () => EmailPassword.resetPassword(app, { ...mailed, ...account }), endpoint: Endpoint.reset },
    callResetPasswordFunction: {
      run: () => EmailPassword.callResetPasswordFunction(app, account),
      endpoint: Endpoint.callReset
    }
  },
  OAuth: {
    start: local(() => OAuth.start(app, page)),
    startLink: { run: ({ user }) => OAuth.startLink(user, page), endpoint: Endpoint.redirectToGoogle },
    parse: local(() => Effect.flip(OAuth.parse("", new OAuth.PendingLogIn({ ...page, appId: app.id, state: "kept" })))),
    logIn: {
      run: () => OAuth.logIn(app, new OAuth.ReturnedLogIn({ ...returned, refreshToken: Redacted.make("refresh-u1") })),
      endpoint: Endpoint.profile,
      reads: true
    },
    link: {
      run: ({ user }) => OAuth.link(user, new OAuth.ReturnedLink(returned)),
      endpoint: Endpoint.profile,
      reads: true
    }
  },
  Push: {
    register: {
      run: ({ user }) => Push.register(user, "gcm", Redacted.make("secret of a phone")),
      endpoint: Endpoint.registerPush,
      about: push
    },
    deregister: { run: ({ user }) => Push.deregister(user, "gcm"), endpoint: Endpoint.deregisterPush, about: push }
  },
  Collection: {
    untyped: local(({ orders }) => Collection.untyped(orders)),
    find: onOrders((orders) => Collection.find(orders), { reads: true }),
    findResults: onOrders((orders) => Collection.findResults(orders), { reads: true, span: "Collection.find" }),
    stream: onOrders((orders) => Stream.runDrain(Collection.stream(orders)), { reads: true, span: "Collection.find" }),
    findOne: onOrders((orders) => Collection.findOne(orders), { reads: true }),
    aggregate: onOrders((orders) => Collection.aggregate(orders, []), { reads: true }),
    count: onOrders((orders) => Collection.count(orders), { reads: true }),
    insertOne: onOrders((orders) => Collection.insertOne(orders, one)),
    insertMany: onOrders((orders) => Collection.insertMany(orders, [one])),
    updateOne: onOrders((orders) => Collection.updateOne(orders, one, set)),
    updateMany: onOrders((orders) => Collection.updateMany(orders, one, set)),
    deleteOne: onOrders((orders) => Collection.deleteOne(orders, one)),
    deleteMany: onOrders((orders) => Collection.deleteMany(orders, one)),
    findOneAndUpdate: onOrders((orders) => Collection.findOneAndUpdate(orders, one, set)),
    findOneAndReplace: onOrders((orders) => Collection.findOneAndReplace(orders, one, one)),
    findOneAndDelete: onOrders((orders) => Collection.findOneAndDelete(orders, one)),
    watch: onOrders(
      (orders) => Stream.runHead(Collection.watch(orders, { reconnect: Schedule.recurs(0) })),
      { endpoint: Endpoint.streamFunction }
    )
  },
  MongoDB: {}
}

interface Row extends Omit<Sending, "span" | "about"> {
  readonly name: string
  readonly span: string
  readonly about: { readonly [name: string]: string }
}

const rows = Object.entries(table).flatMap(([module, operations]) =>
  Object.entries(operations).map(([name, operation]) => ({ name: `${module}.${name}`, operation }))
)

const operations: ReadonlyArray<Row> = rows.flatMap(({ name, operation }) =>
  operation.endpoint === undefined
    ? []
    : [{ ...operation, name, span: operation.span ?? name.replace(/:.*/, ""), about: operation.about ?? {} }]
)

const locals = rows.flatMap(({ name, operation }) =>
  operation.endpoint === undefined ? [{ name, run: operation.run }] : []
)

// -----------------------------------------------------------------------------
// The server
// -----------------------------------------------------------------------------

const updated = { matchedCount: { $numberInt: "0" }, modifiedCount: { $numberInt: "0" } }
const deleted = { deletedCount: { $numberInt: "0" } }

/** What the functions of the MongoDB service answer, in Extended JSON. */
const results = new Map<string, unknown>(Object.entries({
  find: [],
  aggregate: [],
  findOne: null,
  count: { $numberLong: "0" },
  insertOne: { insertedId: { $numberInt: "1" } },
  insertMany: { insertedIds: [{ $numberInt: "1" }] },
  updateOne: updated,
  updateMany: updated,
  deleteOne: deleted,
  deleteMany: deleted,
  findOneAndUpdate: null,
  findOneAndReplace: null,
  findOneAndDelete: null
}))

const called = Schema.decodeUnknownSync(Schema.Struct({ name: Schema.String }))

const apiKey = { _id: "1", name: "import", disabled: false }

const events = [
  StreamEvent.value({ _id: { _data: "1" }, operationType: "drop" }),
  StreamEvent.end
].map(StreamEvent.encode).join("")

const answer = ({ body, headers, method, path }: Scripted.Sent): Scripted.Answer | undefined => {
  if (headers["accept"] === "text/event-stream") return { text: events, contentType: "text/event-stream" }
  if (path.endsWith("/functions/call")) {
    const { name } = called(body)
    return results.has(name) ? { body: results.get(name) } : undefined
  }
  if (path.endsWith("/api_keys")) {
    return method === "POST" ? { status: 201, body: { ...apiKey, key: "secret of a key" } } : { body: [apiKey] }
  }
  if (path.endsWith("/api_keys/1") && method === "GET") return { body: apiKey }
  return path.includes("oauth2-google") ? { headers: { "x-baas-location": "https://google.example" } } : undefined
}

/** Runs an operation of a user who has just logged in, and answers how it went and all that somebody could see of it. */
const observe = (run: (given: Given) => unknown, plan: Faults.Plan = Faults.none) => {
  const server = Scripted.make(answer)
  const { spans, traced } = Spans.recorder()
  return Effect.gen(function*() {
    const user = yield* App.logIn(app, credentials)
    const before = server.sent.length
    // A registry of its own, so that nothing else is counted.
    return yield* Effect.gen(function*() {
      const orders = User.mongoClient(user).db("shop").collection("orders")
      const result = run({ user, orders })
      const effect = Effect.isEffect(result)
        // The table says what it needs.
        ? result as ReturnType<Run>
        : Effect.void
      const exit = yield* World.settled(Effect.scoped(effect).pipe(traced, Faults.inject(plan)))
      return {
        exit,
        error: Exit.isFailure(exit) ? Option.getOrUndefined(Exit.findErrorOption(exit)) : undefined,
        sent: server.sent.slice(before),
        spans,
        own: spans.filter((span) => Spans.parentOf(span) === undefined),
        metrics: yield* Metric.snapshot
      }
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  }).pipe(Effect.provide(Layer.merge(server.layer, Layer.fresh(TokenStore.layerMemory))))
}

type Observed = Effect.Success<ReturnType<typeof observe>>

/** How often a metric has counted, by the attributes of its series. */
const counts = ({ metrics }: Observed, metric: { readonly id: string }): { readonly [series: string]: number } =>
  Object.fromEntries(
    metrics.flatMap((one) => {
      const state = one.type === "Counter" || one.type === "Histogram" ? Number(one.state.count) : 0
      return one.id === metric.id && state > 0 ? [[Object.values(one.attributes ?? {}).join(" "), state]] : []
    })
  )

const route = ({ endpoint: { method, path } }: Row): string => `${method} ${path}`

/** What of spans everybody may see: a span's exit, with the value in it, is for a tracer in this process. */
const shown = ({ metrics, spans }: Observed): string =>
  Spans.printed([metrics, spans.map((span) => [span.name, Spans.attributes(span)])])

const modules: { readonly [name: string]: object } = { ...Client }

const each = <A extends { readonly name: string }>(all: ReadonlyArray<A>) => all.map((one) => [one.name, one] as const)

/** A plan that says how often it met the endpoint of an operation. */
const counting = ({ endpoint }: Row, fault: Faults.Fault) => {
  let met = 0
  const plan = Faults.at({
    when: (request) => {
      if (request.endpoint === endpoint.identifier) met++
      return true
    }
  }, fault)
  return { plan, met: () => met }
}

describe("Everything that the client's modules have", () => {
  it.each(Object.keys(table))("is in the table: %s", (module) => {
    const names = Object.keys(modules[module] ?? {})
    // What begins with a capital is a class or a reference: it does nothing.
    const functions = names.filter((name) => /^[a-z]/.test(name))
    assert.sameMembers([...new Set(Object.keys(table[module] ?? {}).map((name) => name.replace(/:.*/, "")))], functions)
  })

  it("that may send something is in a module of the table", () => {
    const others = ["ChangeEvent", "ClientError", "Credentials", "Filter", "Metrics", "Policy", "Session"]
    const stores = ["SessionStorage", "TokenStore", "Update", "UserEvent"]
    assert.sameMembers(Object.keys(modules), [...Object.keys(table), ...others, ...stores])
  })
})

// Names that are called with less as well: what comes first is then taken for that.
const curried = new Set([
  "make",
  "customData",
  "refreshCustomData",
  "accessToken",
  "functions",
  "functions: of a group",
  "mongoClient"
])

const ofUser = rows.filter(({ name }) => {
  const [module = "", operation = ""] = name.split(/\.(.*)/)
  return ["User", "ApiKeys", "Push"].includes(module) && !curried.has(operation) ||
    ["OAuth.startLink", "OAuth.link", "App.switchUser", "App.removeUser", "App.deleteUser"].includes(name)
}).map(({ name, operation }) => ({ name, run: operation.run }))

/** What an operation dies with, or throws when it is made. */
const defect = (run: (given: Given) => unknown) =>
  Effect.map(Effect.exit(observe(run)), (exit) => {
    const seen = Exit.isSuccess(exit) ? exit.value.exit : exit
    return Exit.isFailure(seen) ? String(Cause.squash(seen.cause)) : "none"
  })

describe("A program without types", () => {
  // What `App.currentUser` answers.
  const option = Option.some(User.make({ appId: app.id, baseUrl: app.baseUrl, id: "u1" }))

  it.effect.each(each(ofUser))(
    "is told what belongs in the place of a user: %s",
    ([, { run }]) =>
      Effect.gen(function*() {
        for (const user of [option, undefined, app]) {
          const told = yield* defect(({ orders }) => run({ user: user as never, orders }))
          assert.strictEqual(told, "TypeError: user: expected a User, not an Option")
        }
      })
  )

  it.effect("is told what belongs in the place of an app", () =>
    Effect.gen(function*() {
      for (const wrong of [option, {}, undefined]) {
        const one = wrong as never
        const uses: ReadonlyArray<() => unknown> = [
          () => App.logIn(one, credentials),
          () => App.currentUser(one),
          () => App.allUsers(one),
          () => App.importRealmWeb(one, { getItem: () => null, setItem: () => {} }),
          () => App.location(one),
          () => Stream.runHead(App.events(one)),
          () => EmailPassword.registerUser(one, account),
          () => EmailPassword.confirmUser(one, mailed),
          () => EmailPassword.callResetPasswordFunction(one, account),
          () => OAuth.start(one, page),
          () => OAuth.logIn(one, new OAuth.ReturnedLogIn({ ...returned, refreshToken: Redacted.make("refresh-u1") }))
        ]
        for (const use of uses) {
          assert.strictEqual(yield* defect(use), "TypeError: app: expected an App", String(use))
        }
      }
    }))

  it.effect("is told what belongs in the place of credentials", () =>
    Effect.gen(function*() {
      for (const wrong of [undefined, null, account, account.password]) {
        const uses: ReadonlyArray<Run> = [
          () => App.logIn(app, wrong as never),
          () => App.logInScoped(app, wrong as never),
          () => Layer.build(App.layerUser(Service, app, wrong as never)),
          ({ user }) => User.linkCredentials(user, wrong as never)
        ]
        for (const use of uses) {
          const told = yield* defect(use)
          assert.strictEqual(told, "TypeError: credentials: expected a value that the module Credentials made")
        }
      }
    }))
})

describe("A function that asks nobody", () => {
  it.effect.each(each(locals))("opens no span and counts nothing: %s", ([, { run }]) =>
    Effect.gen(function*() {
      const observed = yield* observe(run)
      assert.isTrue(Exit.isSuccess(observed.exit))
      assert.deepStrictEqual([observed.spans, observed.sent, observed.metrics], [[], [], []])
    }))
})

describe("An operation", () => {
  it.effect.each(each(operations))(
    "has one span with route, app, names, attempts and outcome, and its requests are counted and timed: %s",
    ([, row]) =>
      Effect.gen(function*() {
        const observed = yield* observe(row.run)
        assert.isTrue(Exit.isSuccess(observed.exit), Spans.printed(observed.exit))
        // The end of a scope logs out.
        const [own, ...rest] = observed.own
        assert.strictEqual(own?.name, row.span)
        assert.deepStrictEqual(rest.map(({ name }) => name).filter((name) => name !== "User.logOut"), [])
        assert.deepStrictEqual(Spans.attributes(own), {
          "realm.app.id": app.id,
          "http.request.method": row.endpoint.method,
          "http.route": row.endpoint.path,
          ...row.about,
          "realm.attempts": 1,
          "realm.exchanges": 0,
          "realm.outcome": "Success"
        })
        for (const span of observed.spans) assert.strictEqual(span.status._tag, "Ended")
        const requests = counts(observed, Metrics.requests)
        assert.strictEqual(requests[route(row)], 1)
        assert.strictEqual(Object.values(requests).reduce((sum, count) => sum + count, 0), observed.sent.length)
        assert.deepStrictEqual(counts(observed, Metrics.latency), requests)
        assert.deepStrictEqual(counts(observed, Metrics.failures), {})
        assert.notMatch(shown(observed), /secret of|refresh-u1|eyJ/)
      })
  )

  it.effect.each(each(operations))(
    "that is not answered fails typed and is counted by its tag; a read was sent three times, a write once: %s",
    ([, row]) =>
      Effect.gen(function*() {
        const { plan, met } = counting(row, Faults.dropAfter)
        const observed = yield* observe(row.run, plan)
        const attempts = row.reads === true ? 3 : 1
        assert.strictEqual(met(), attempts)
        assert.deepInclude(Spans.attributes(observed.own[0]), {
          "realm.attempts": attempts,
          "realm.outcome": "TransportError",
          "error.type": "TransportError",
          "realm.reason": "Unreachable"
        })
        assert.deepStrictEqual(counts(observed, Metrics.failures), { [`${row.span} TransportError`]: 1 })
        assert.deepStrictEqual(counts(observed, Metrics.latency), {})
      })
  )

  it.effect.each(each(operations))("has sixty seconds by default: %s", ([, row]) =>
    Effect.gen(function*() {
      const { plan, met } = counting(row, Faults.stallHeaders)
      const observed = yield* observe(row.run, plan)
      assert.strictEqual(met(), 1)
      assert.deepInclude(observed.error, { _tag: "TransportError", reason: { _tag: "TimedOut", deadline: 60_000 } })
    }))

  it.effect.each(each(operations))(
    "that comes too often says how long to wait: %s",
    ([, row]) =>
      Effect.gen(function*() {
        const { plan, met } = counting(
          row,
          Faults.answer({ status: 429, body: "{\"error\":\"later\"}", headers: { "retry-after": "120" } })
        )
        const observed = yield* observe(row.run, plan)
        assert.strictEqual(met(), 1)
        assert.deepNestedInclude(observed.error, { _tag: "RequestError", "reason.retryAfter": 120_000 })
      })
  )

  it.effect("is the log-out at the end of a scope, also when nobody hears that it failed", () =>
    Effect.gen(function*() {
      const lost = Faults.at({ endpoint: "deleteSession" }, Faults.dropBefore)
      const observed = yield* observe(() => App.logInScoped(app, credentials), lost)
      assert.isTrue(Exit.isSuccess(observed.exit))
      assert.deepStrictEqual(observed.own.map(({ name }) => name), ["App.logIn", "User.logOut"])
      assert.deepInclude(Spans.attributes(observed.own[1]), { "realm.attempts": 1, "realm.outcome": "TransportError" })
      assert.deepStrictEqual(counts(observed, Metrics.failures), { "User.logOut TransportError": 1 })
    }))

  it.effect("that sends nothing, because an argument cannot be sent, has a span and is counted", () =>
    Effect.gen(function*() {
      const args = [() => "no value"]
      const failing: { readonly [name: string]: Run } = {
        "EmailPassword.callResetPasswordFunction": () =>
          EmailPassword.callResetPasswordFunction(app, { ...account, args }),
        "User.callFunction": ({ user }) => User.callFunction(user, "sum", args),
        "User.callFunctionStreaming": ({ user }) => Stream.runDrain(User.callFunctionStreaming(user, "sum", args)),
        "Collection.find": ({ orders }) => Collection.find(orders, { _id: args })
      }
      for (const [name, run] of Object.entries(failing)) {
        const observed = yield* observe(run)
        assert.deepStrictEqual(observed.sent, [])
        assert.deepInclude(Spans.attributes(observed.own[0]), { "realm.attempts": 0, "realm.outcome": "EjsonError" })
        assert.deepStrictEqual(counts(observed, Metrics.failures), { [`${name} EjsonError`]: 1 })
      }
    }))
})
