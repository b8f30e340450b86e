import * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import {
  Accounts,
  type AppDefinition,
  Database,
  FunctionGroup,
  Functions,
  type RealmServer
} from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Wire from "./support/wire.ts"

/** Who calls, whether the function runs as the system, and the owners of what it finds. */
const report = `exports = async () => {
  const things = context.services.get("mongodb-atlas").db("shop").collection("things")
  const owners = (await things.find({}).toArray()).map(({ owner }) => owner)
  return { caller: context.user.data.name, system: context.runningAsSystem(), owners: owners.toSorted() }
}`

const nest = (name: string) => `exports = () => context.functions.execute("${name}")`

const contracts = {
  ask: RealmFunction.make("ask", { args: [Schema.String], success: Schema.Unknown }),
  caller: RealmFunction.make("caller", { success: Schema.Unknown })
}

// Functions that are called in the course of another have its executor, whoever they are called by.
const group = FunctionGroup.layer(contracts, {
  ask: (name) =>
    Effect.gen(function*() {
      const { call } = yield* Functions.Functions
      return yield* call({ name, args: [], caller: yield* FunctionGroup.Caller })
    }).pipe(Effect.orDie),
  caller: () => Effect.map(FunctionGroup.Caller, ({ origin }) => origin)
})

const dataSources: AppDefinition.Options["dataSources"] = [{
  collections: [{
    database: "shop",
    collection: "things",
    roles: [
      { name: "owner", applyWhen: { owner: "%%user.data.name" }, read: true },
      {
        name: "asked",
        applyWhen: { "%%true": { "%function": { name: "allows", arguments: ["%%root.owner"] } } },
        read: true
      }
    ]
  }]
}]

const allows: AppDefinition.AppFunction = {
  name: "allows",
  source:
    "exports = (owner) => owner === 'everybody' && !context.runningAsSystem() && context.user.data.name === 'ann'",
  private: true,
  runAsSystem: false,
  disableArgLogs: false
}

interface Stage {
  readonly ann: Wire.Tokens
  readonly bob: Wire.Tokens
}

/**
 * Ann and Bob, each with a thing of their own, and the app with the functions that a test makes of their ids: deployed
 * over the same database, as an app is when it is changed.
 */
const stage = <A, E>(
  functions: (stage: Stage) => { readonly [name: string]: Partial<AppDefinition.AppFunction> },
  use: (stage: Stage) => Effect.Effect<A, E, HttpClient.HttpClient | RealmServer.Services | Database.Database>
) =>
  Effect.gen(function*() {
    const database = Layer.succeed(Database.Database, yield* Database.Database)
    const people = yield* Effect.gen(function*() {
      const logIn = (id: string) =>
        Effect.flatMap(
          Wire.send("POST", `${Wire.providers}/custom-function/login`, { body: { id, name: id } }),
          Wire.tokens
        )
      return { ann: yield* logIn("ann"), bob: yield* logIn("bob") }
    }).pipe(Effect.provide(Wire.layer({}, database)))
    const things = (yield* Database.Database).collection({ database: "shop", collection: "things" })
    yield* things.insertMany(["ann", "bob", "everybody", "nobody"].map((owner) => ({ owner })))
    const app = Wire.makeApp({
      dataSources,
      functions: [
        allows,
        { name: "report", source: report },
        ...Object.entries(functions(people)).map(([name, fields]) => ({ name, source: report, ...fields }))
      ]
    })
    return yield* Effect.provide(use(people), Wire.layer({ app, functionGroups: group }, database))
  }).pipe(Effect.provide(Database.layerMemory))

const asAnn = { caller: "ann", system: false, owners: ["ann", "everybody"] }
// `allows` is asked with Ann as the caller, whoever the rules are judged for.
const asBob = { caller: "ann", system: false, owners: ["bob", "everybody"] }
const asSystem = { caller: "ann", system: true, owners: ["ann", "bob", "everybody", "nobody"] }

const script = (body: string) => `exports = async () => { ${body} }`

describe("As whom a function runs", { timeout: 60_000 }, () => {
  it.effect("the system goes before a user of its own, that before a script, and a script before the caller", () =>
    stage(
      ({ ann, bob }) => ({
        system: { runAsSystem: true, runAsUserId: bob.user_id },
        user: { runAsUserId: bob.user_id, runAsUserIdScriptSource: script(`return "${ann.user_id}"`) },
        script: { runAsUserIdScriptSource: script(`return "${bob.user_id}"`) },
        scriptSystem: { runAsUserIdScriptSource: script("return { runAsSystem: true }") },
        scriptCaller: { runAsUserIdScriptSource: script("return context.user.id") },
        scriptReads: {
          runAsUserIdScriptSource: script(
            `const { owners } = await context.functions.execute("report");
             return owners.includes("bob") ? "somebody else" : "${bob.user_id}"`
          )
        }
      }),
      ({ ann }) =>
        Effect.gen(function*() {
          for (
            const [name, expected] of [
              ["report", asAnn],
              ["system", asSystem],
              ["user", asBob],
              ["script", asBob],
              ["scriptSystem", asSystem],
              ["scriptCaller", asAnn],
              ["scriptReads", asBob]
            ] as const
          ) {
            const answer = yield* Wire.call(ann.access_token, name)
            assert.deepStrictEqual([name, answer.status, answer.body], [name, 200, expected])
          }
        })
    ))

  it.effect("a function that is called by another runs as that one does, unless it says another", () =>
    stage(
      ({ bob }) => ({
        user: { runAsUserId: bob.user_id },
        system: { runAsSystem: true },
        callsUser: { source: nest("user") },
        callsSystem: { source: nest("system") },
        userCallsReport: { source: nest("report"), runAsUserId: bob.user_id },
        userCallsSystem: { source: nest("system"), runAsUserId: bob.user_id },
        systemCallsReport: { source: nest("report"), runAsSystem: true },
        systemCallsUser: { source: nest("user"), runAsSystem: true },
        userAsksGroup: {
          source: "exports = () => context.functions.execute('ask', 'report')",
          runAsUserId: bob.user_id
        },
        systemAsksGroup: { source: "exports = () => context.functions.execute('ask', 'report')", runAsSystem: true }
      }),
      ({ ann }) =>
        Effect.gen(function*() {
          for (
            const [name, expected] of [
              ["callsUser", asBob],
              ["callsSystem", asSystem],
              ["userCallsReport", asBob],
              ["userCallsSystem", asSystem],
              ["systemCallsReport", asSystem],
              ["systemCallsUser", asBob],
              ["userAsksGroup", asBob],
              ["systemAsksGroup", asSystem]
            ] as const
          ) {
            const answer = yield* Wire.call(ann.access_token, name)
            assert.deepStrictEqual([name, answer.status, answer.body], [name, 200, expected])
          }
          // A function of a group runs for whoever calls.
          assert.deepStrictEqual((yield* Wire.call(ann.access_token, "ask", "report")).body, asAnn)
        })
    ))

  it.effect("who may call is decided over the caller, whoever the function runs as", () =>
    stage(
      ({ bob }) => ({
        forAnn: { runAsUserId: bob.user_id, canEvaluate: { "%%user.data.name": "ann" } },
        forBob: { runAsUserId: bob.user_id, canEvaluate: { "%%user.data.name": "bob" } },
        hidden: { runAsUserId: bob.user_id, private: true },
        callsHidden: { source: nest("hidden") }
      }),
      ({ ann }) =>
        Effect.gen(function*() {
          const { access_token } = ann
          assert.deepStrictEqual((yield* Wire.call(access_token, "forAnn")).body, asBob)
          assert.deepStrictEqual((yield* Wire.call(access_token, "callsHidden")).body, asBob)
          assert.deepStrictEqual(Wire.refusal(yield* Wire.call(access_token, "forBob")), [
            400,
            "FunctionExecutionError",
            "rule not matched for function \"forBob\""
          ])
          assert.strictEqual(Wire.refusal(yield* Wire.call(access_token, "hidden"))[1], "NotCallable")
        })
    ))

  it.effect("a user who is not there or disabled runs nothing, from the next call on", () =>
    stage(
      ({ bob }) => ({
        user: { runAsUserId: bob.user_id },
        script: { runAsUserIdScriptSource: script(`return "${bob.user_id}"`) },
        nobody: { runAsUserId: "5f87976b7b800b285345a8b4" }
      }),
      ({ ann, bob }) =>
        Effect.gen(function*() {
          const accounts = yield* Accounts.Accounts
          const refused = (name: string) => Effect.map(Wire.call(ann.access_token, name), Wire.refusal)
          const gone = (name: string, field: string): ReturnType<typeof Wire.refusal> => [
            400,
            "FunctionExecutionError",
            `Error: function "${name}" cannot run: the user it runs as by "${field}" is not there or disabled`
          ]
          assert.deepStrictEqual(yield* refused("nobody"), gone("nobody", "run_as_user_id"))
          assert.deepStrictEqual((yield* Wire.call(ann.access_token, "user")).body, asBob)
          yield* accounts.setDisabled(bob.user_id, true)
          assert.deepStrictEqual(yield* refused("user"), gone("user", "run_as_user_id"))
          assert.deepStrictEqual(yield* refused("script"), gone("script", "run_as_user_id_script_source"))
          yield* accounts.setDisabled(bob.user_id, false)
          assert.deepStrictEqual((yield* Wire.call(ann.access_token, "script")).body, asBob)
          yield* accounts.remove(bob.user_id)
          assert.deepStrictEqual(yield* refused("user"), gone("user", "run_as_user_id"))
        })
    ))

  it.effect("a script that fails, or answers no user, runs nothing", () =>
    stage(
      () => ({
        throws: { runAsUserIdScriptSource: script("throw new TypeError('whom?')") },
        number: { runAsUserIdScriptSource: script("return 7") },
        empty: { runAsUserIdScriptSource: script("return ''") },
        nothing: { runAsUserIdScriptSource: script("") },
        half: { runAsUserIdScriptSource: script("return { runAsSystem: 'yes' }") },
        none: { runAsUserIdScriptSource: "const f = () => 'x'" },
        callsThrows: {
          source:
            "exports = async () => { try { await context.functions.execute('throws') } catch (e) { return e.code } }"
        },
        callsScript: { source: "exports = () => context.functions.execute('throws (run_as_user_id_script_source)')" }
      }),
      ({ ann }) =>
        Effect.gen(function*() {
          const why = (name: string) =>
            Effect.map(Wire.call(ann.access_token, name), (answer) => {
              const [status, code, words] = Wire.refusal(answer)
              assert.deepStrictEqual([status, code], [400, "FunctionExecutionError"], name)
              return String(words)
            })
          assert.strictEqual(
            yield* why("throws"),
            "Error: function \"throws\" cannot run: its \"run_as_user_id_script_source\" failed: TypeError: whom?"
          )
          for (const name of ["number", "empty", "nothing", "half"]) {
            assert.match(yield* why(name), /has to return the id of a user, or \{ runAsSystem: true \}$/)
          }
          assert.match(yield* why("none"), /does not assign a function to exports/)
          assert.strictEqual((yield* Wire.call(ann.access_token, "callsThrows")).body, "FunctionExecutionError")
          assert.match(yield* why("callsScript"), /function not found/)
        })
    ))
})
