/**
 * Functions of an app: exported JavaScript, run in worker threads away from everything the server holds.
 *
 * **What a function finds** (App Services reference, section 4): `context` with `user`, `values`, `environment`, `app`, `request`,
 * `services.get`, `http`, `functions.execute` and `runningAsSystem`, `console`, `EJSON`, `BSON`, `utils.jwt` and `utils.crypto`, timers, `Buffer`,
 * `URL`, and `require` for the Node.js modules `assert`, `buffer`, `crypto`, `events`, `path`, `querystring`, `stream`, `string_decoder`, `timers`,
 * `url`, `util` and `zlib`, and for the app's npm packages (CommonJS). `eval` and `new Function` are refused.
 *
 * **As whom it runs** says what of the database it reaches: the system, by `runAsSystem`; a user of its own, by `runAsUserId`; whom its script
 * says; else as the function that calls it, or whoever does. `context.user` is whoever calls, in all of them.
 *
 * **What calls share.** A source is run anew for each call, so its variables, `context` and `console` belong to one call.
 * Globals that a call leaves behind are removed after it, and a context serves one call at a time. Built-ins are frozen,
 * as contexts are used again: making one takes longer than most functions run. A function whose source speaks of
 * prototypes gets a context of its own, thrown away afterwards. Only what a function hangs onto an object of a Node.js
 * module outlives its call.
 *
 * **Numbers.** A function gets JavaScript numbers; only an int64 beyond 2^53 - 1 stays a `Long`. On the way back a number
 * that came with the arguments keeps its BSON type; where all numbers of the arguments are int64, whole numbers of the
 * result are int64; all else goes by size, int32, int64, double.
 *
 * **Limits.** A call ends after the time limit, endless loops too. While a function does not yield, calls that its worker has
 * not begun begin elsewhere. Its worker is stopped when its time is over, and calls that had begun there and waited for
 * something fail with `FunctionExecutionError`, as they cannot be begun again. A function that blocked has a worker for
 * itself from then on. A worker that goes on using more memory than the limit, or uses more than twice as much, is stopped
 * likewise: heap and buffers count, and looks are taken every 50 milliseconds.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AppDefinition, AppFunction } from "./AppDefinition.ts"
import { DuplicateFunctionError } from "./FunctionGroup.ts"
import * as AppIds from "./internal/appIds.ts"
import * as Expression from "./internal/documents/ruleExpression.ts"
import { argumentOptions } from "./internal/functions/argumentLimit.ts"
import { requestDocument, userDocument, valuesOf } from "./internal/functions/callScope.ts"
import * as Executor from "./internal/functions/executor.ts"
import * as FunctionCalls from "./internal/functions/functionCalls.ts"
import { functionService } from "./internal/functions/functionMessage.ts"
import * as Pool from "./internal/functions/functionPool.ts"
import * as FunctionServices from "./internal/functions/functionServices.ts"
import * as GroupFunctions from "./internal/functions/groupFunctions.ts"
import { TimeLimit } from "./internal/timeLimit.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** One way a user has logged in. */
export interface UserIdentity {
  readonly id: string
  readonly providerType: string
  readonly data?: Ejson.Document
}

/** A user, as functions and rules see one (`context.user`, `%%user`). Values are BSON values. */
export interface UserObject {
  readonly id: string
  readonly type: "normal" | "server"
  /** What the identities know of the user, merged. */
  readonly data: Ejson.Document
  /** The user's document in the custom data collection, or an empty one. */
  readonly customData: Ejson.Document
  readonly identities: ReadonlyArray<UserIdentity>
}

/** What functions and rules see of the request (`context.request`, `%%request`). */
export interface RequestInfo {
  readonly remoteAddress?: string
  readonly method?: string
  /** Without `?`. */
  readonly rawQueryString?: string
  /** The data source that a client calls, and its operation, such as `find`. */
  readonly service?: string
  readonly action?: string
  /** By lower-case name. Credentials (`authorization`, `cookie`) are left out before a function sees them. */
  readonly headers?: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
}

/** Who calls. */
export interface Caller {
  /**
   * `client`: `private` and `can_evaluate` are enforced, but for what functions call. `server`: the server itself, for instance to
   * authenticate.
   */
  readonly origin: "client" | "server"
  /** The logged-in user (`context.user`); without one the function runs as the system user. */
  readonly user: Option.Option<UserObject>
  /**
   * As whom functions run, and whose rules are in force, where that is not `user`: nobody is the system. A function that is
   * called by another has it from there.
   */
  readonly runAs?: Option.Option<UserObject>
  readonly request: RequestInfo
}

/** The server itself as a caller: no user, no request. */
export const server: Caller = { origin: "server", user: Option.none(), request: {} }

/** How functions are run. */
export interface Options {
  /** How long a call may take; default: 300 seconds. */
  readonly timeLimit?: Duration.Input
  /** Heap and buffers of one worker, in MB; default: 350. For a moment it may use more, see above. */
  readonly memoryLimit?: number
  /** Worker threads; default: as many as the machine runs in parallel, at most 4. */
  readonly workers?: number
  /**
   * Calls that may wait for something in one worker at a time; default: 64. More of them queue. Those that functions make of
   * functions have as many places again at each depth, so that they never wait for those that wait for them.
   */
  readonly callsPerWorker?: number
  /** Longest result, in characters of Extended JSON; default: 18 million. */
  readonly maxResult?: number
  /** How deep functions may call each other; default: 50, at most 1000. */
  readonly maxDepth?: number
}

const PositiveInt = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

const OptionFields = Schema.Struct({
  timeLimit: Schema.optionalKey(TimeLimit),
  memoryLimit: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(32))),
  workers: Schema.optionalKey(PositiveInt),
  callsPerWorker: Schema.optionalKey(PositiveInt),
  maxResult: Schema.optionalKey(PositiveInt),
  maxDepth: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })))
})

const checkOptions = Schema.decodeUnknownSync(OptionFields)

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/** One call of a function. */
export interface Call {
  readonly name: string
  /** BSON values; numbers may be `Int32`, `Long` and `Double` or JavaScript numbers. */
  readonly args: ReadonlyArray<unknown>
  readonly caller: Caller
}

/**
 * Runs the functions of one app.
 *
 * ```ts
 * import { AppDefinition, Functions } from "@effect-realm/server"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   functions: [{ name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" }]
 * })
 *
 * const sum = Functions.Functions.use((functions) =>
 *   functions.call({ name: "sum", args: [1, 2], caller: Functions.server })
 * )
 * String(await Effect.runPromise(Effect.provide(sum, Functions.layer(app)))) // => "3"
 * ```
 */
export class Functions extends Context.Service<Functions, {
  /**
   * Calls a function and answers its result as a BSON value with exact numbers (`Int32`, `Long`, `Double`); a function
   * that returns nothing answers `undefined`. Interruption gives the call up; what it did stays done.
   *
   * Fails with `FunctionError` of reason `FunctionNotFound`, `NotCallable` (a client called a private one),
   * `FunctionExecutionError` (it threw, returned what has no Extended JSON form, or `can_evaluate` said no),
   * `ExecutionTimeLimitExceeded` or `ExecutionMemoryLimitExceeded`.
   */
  readonly call: (options: Call) => Effect.Effect<unknown, RealmError.FunctionError>
  /**
   * The same for arguments and a result in Extended JSON, as they travel. Fails with `EjsonError` when the arguments are
   * none.
   */
  readonly callJson: (options: Call) => Effect.Effect<Schema.Json, RealmError.FunctionError | Ejson.EjsonError>
  /**
   * Begins a function that streams, with arguments and values in Extended JSON. It runs for as long as its values are
   * pulled: the time limit is none of its. Fails like `call` before the first value, and with `NotCallable` when the
   * function does not stream, as functions in JavaScript do not.
   */
  readonly streamJson: (
    options: Call
  ) => Effect.Effect<Stream.Stream<Schema.Json, RealmError.FunctionError>, RealmError.FunctionError>
}>()("@effect-realm/server/Functions") {}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

interface Permission {
  readonly private: boolean
  readonly mayCall: ((scope: Expression.Scope) => boolean) | undefined
}

interface About {
  readonly caller: Caller
  readonly nesting: FunctionCalls.Nesting
  readonly user: Ejson.Document
  readonly request: Ejson.Document
}

/** A function with BSON values, and the same with Extended JSON. */
interface Prepared extends Permission {
  readonly run: (args: ReadonlyArray<unknown>, about: About) => Effect.Effect<unknown, RealmError.FunctionError>
  readonly runJson: (
    args: ReadonlyArray<unknown>,
    about: About
  ) => Effect.Effect<Schema.Json, RealmError.FunctionError | Ejson.EjsonError>
  readonly streamJson: (
    args: ReadonlyArray<unknown>,
    about: About
  ) => Effect.Effect<Stream.Stream<Schema.Json, RealmError.FunctionError>, RealmError.FunctionError>
}

const streamsNot = (name: string): Effect.Effect<never, RealmError.FunctionError> =>
  Effect.fail(RealmError.make("NotCallable", `function "${name}" does not stream: call it without streaming`))

const streamsOnly = (name: string): Effect.Effect<never, RealmError.FunctionError> =>
  Effect.fail(RealmError.make("NotCallable", `function "${name}" streams: call it streaming`))

const permission = (
  { canEvaluate, private: isPrivate }: Pick<AppFunction, "private" | "canEvaluate">
): Permission => {
  const everybody = canEvaluate === undefined || canEvaluate === true ||
    (typeof canEvaluate === "object" && canEvaluate !== null && Object.keys(canEvaluate).length === 0)
  return { private: isPrivate, mayCall: everybody ? undefined : Expression.compile(canEvaluate).evaluate }
}

const refusal = (
  name: string,
  settlement: Exclude<Pool.Settlement, { readonly _tag: "Returned" }>
): RealmError.FunctionError => {
  switch (settlement._tag) {
    case "Threw":
      return RealmError.make("FunctionExecutionError", settlement.text)
    case "TimedOut":
      return timedOut
    case "OutOfMemory":
      return RealmError.make("ExecutionMemoryLimitExceeded", `the function "${name}" used more memory than it may`)
    case "Lost":
      return RealmError.make("FunctionExecutionError", `Error: the call was lost: ${settlement.reason}`)
  }
}

const unsendable = (error: Ejson.EjsonError): RealmError.FunctionError =>
  RealmError.make("FunctionExecutionError", `Error: ${error.message}`)

/** What a function threw, for the function that has called it. */
const thrown = ({ reason: { _tag: code, message: text } }: RealmError.FunctionError) => {
  const [, errorName = "Error", message = text] = /^([A-Z]\w*Error|Error): ([^]*)$/.exec(text) ?? []
  return new FunctionServices.FunctionServiceError({ errorName, message, code })
}

/** What the script that says as whom a function runs is called in the workers: no function has such a name. */
const scriptOf = (name: string): string => `${name} (run_as_user_id_script_source)`

const timedOut = RealmError.make("ExecutionTimeLimitExceeded", "execution time limit exceeded")

/**
 * The functions of an app, and those of the groups in the context (`FunctionGroup`), closed with the scope. {@link layer} is
 * what programs use.
 */
export const make = Effect.fnUntraced(function*(
  app: AppDefinition,
  options: Options = {}
): Effect.fn.Return<Functions["Service"], never, Scope.Scope> {
  const timeLimit = Duration.fromInputUnsafe(options.timeLimit ?? "300 seconds")
  const maxDepth = options.maxDepth ?? 50
  const provided = yield* Effect.context<never>()
  const services = new Map(FunctionServices.all(provided).map((service) => [service.name, service]))
  const groups = GroupFunctions.all(provided)
  const executors = Context.getOption(provided, Executor.Executors)
  const startedAt = new Date(yield* Clock.currentTimeMillis).toISOString()
  const values = valuesOf(app)
  const ids = AppIds.make(app.appId)
  const environment = { tag: app.environment.tag, values: app.environment.values }
  const rules = { values: Object.fromEntries(values), environment }

  const scripts = app.functions.flatMap(({ name, runAsUserIdScriptSource: source }) =>
    source === undefined ? [] : [{ name: scriptOf(name), runAsSystem: false, source }]
  )

  const pool = yield* Effect.acquireRelease(
    Effect.sync(() =>
      Pool.make({
        functions: [...app.functions, ...scripts].map(({ name, runAsSystem, source }) => ({
          name,
          runAsSystem,
          source
        })),
        packages: app.packages,
        values: [...values].map(([name, value]) => [name, JSON.stringify(value)] as const),
        app: JSON.stringify({
          id: ids.internalAppId,
          clientAppId: app.appId,
          name: app.name,
          projectId: ids.groupId,
          deployment: { model: app.deploymentModel, providerRegion: app.providerRegion },
          lastDeployed: startedAt
        }),
        environment: JSON.stringify(environment),
        // The server calls no script by its name, so no function does.
        remoteFunctions: [...groups, ...app.functions.filter(Executor.isAsked), ...scripts].map(({ name }) => name),
        services: [...services.values()].map(({ kind, name }) => [name, kind] as const),
        timeLimit: Duration.toMillis(timeLimit),
        memoryLimit: options.memoryLimit ?? 350,
        workers: options.workers ?? Pool.defaultWorkers,
        callsPerWorker: options.callsPerWorker ?? 64,
        maxResult: options.maxResult ?? 18_000_000,
        maxDepth
      })
    ),
    (pool) => Effect.promise(pool.close)
  )

  const runInPool = FunctionCalls.make({
    pool,
    turns: (service) => services.get(service)?.concurrency,
    // The worker asks for what it was told there is.
    answer: ({ args, caller, nesting, operation, service }) =>
      service === functionService
        ? Effect.mapError(at(nesting).call({ name: operation, args, caller }), thrown)
        : Effect.provideService(services.get(service)!.handle(caller, operation, args), Functions, at(nesting))
  })

  /** Runs a source of the app, as somebody; its result is a BSON value. */
  const runSource = Effect.fnUntraced(function*(
    name: string,
    args: ReadonlyArray<unknown>,
    executor: Executor.Executor,
    { caller, nesting: { depth, within }, request, user }: About
  ): Effect.fn.Return<unknown, RealmError.FunctionError> {
    const texts = yield* Effect.fromResult(
      Result.all([Ejson.stringify(args, { root: "arguments" }), Ejson.stringify(user), Ejson.stringify(request)])
    ).pipe(Effect.mapError(unsendable))
    const settlement = yield* runInPool({
      name,
      args: texts[0],
      user: texts[1],
      request: texts[2],
      asSystem: Option.isNone(executor),
      depth,
      within
    }, { ...caller, runAs: executor })
    if ("logs" in settlement) {
      for (const line of settlement.logs) {
        yield* Effect.annotateLogs(Effect.logInfo(line), { function: name })
      }
    }
    if (settlement._tag !== "Returned") return yield* refusal(name, settlement)
    // The worker wrote it with the same codec.
    return Ejson.decodeUnsafe(JSON.parse(settlement.text), { numbers: "exact" })
  })

  const javaScript = (definition: AppFunction): Prepared => {
    const { name } = definition
    const run = (args: ReadonlyArray<unknown>, about: About): Effect.Effect<unknown, RealmError.FunctionError> => {
      const script = Effect.suspend(() => runSource(scriptOf(name), [], Executor.inherited(about.caller), about))
      return Effect.flatMap(
        Executor.resolve(definition, about.caller, executors, script),
        (executor) => runSource(name, args, executor, about)
      )
    }
    return {
      ...permission(definition),
      run,
      runJson: (json, about) => {
        const args = Ejson.decode(json, argumentOptions)
        // A list decodes to a list, and what was decoded can be encoded.
        return Result.isFailure(args)
          ? Effect.fail(args.failure)
          : Effect.map(run(args.success as ReadonlyArray<unknown>, about), (value) => Ejson.encodeUnsafe(value))
      },
      streamJson: () => streamsNot(name)
    }
  }

  const grouped = (definition: GroupFunctions.GroupFunction): Prepared => {
    const { name, run } = definition
    /** The functions, for the handler: what it calls is nested in its own call. */
    const inside = ({ nesting: { depth, within } }: About) => at({ depth: depth + 1, within })
    const call = (args: ReadonlyArray<unknown>, about: About) =>
      run._tag === "Call"
        ? Effect.provideService(run.call(args, about.caller), Functions, inside(about))
        : streamsOnly(name)
    return {
      ...permission(definition),
      streamJson: (args, about) =>
        run._tag === "Stream"
          ? Effect.map(run.begin(args, about.caller), Stream.provideService(Functions, inside(about)))
          : streamsNot(name),
      runJson: call,
      run: (args, about) => {
        const json = Ejson.encode(args, { root: "arguments" })
        return Result.isFailure(json)
          ? Effect.fail(unsendable(json.failure))
          // A list encodes to a list, and what was encoded can be decoded.
          : Effect.map(
            call(json.success as ReadonlyArray<unknown>, about),
            (result) => Ejson.decodeUnsafe(result, { numbers: "exact" })
          )
      }
    }
  }

  const functions = new Map<string, Prepared>()
  for (
    const [name, prepared] of [
      ...app.functions.map((definition) => [definition.name, javaScript(definition)] as const),
      ...groups.map((one) => [one.name, grouped(one)] as const)
    ]
  ) {
    if (functions.has(name)) return yield* Effect.die(new DuplicateFunctionError({ name }))
    functions.set(name, prepared)
  }

  const permitted = (
    { caller, name }: Call,
    nesting: FunctionCalls.Nesting
  ): Effect.Effect<readonly [Prepared, About], RealmError.FunctionError> => {
    if (nesting.depth > maxDepth) {
      return Effect.fail(
        RealmError.make("FunctionExecutionError", `functions call each other more than ${maxDepth} deep`)
      )
    }
    const prepared = functions.get(name)
    if (prepared === undefined) return Effect.fail(RealmError.make("FunctionNotFound", `function not found: '${name}'`))
    const user = userDocument(caller.user)
    const request = requestDocument(caller.request)
    // Functions call each other whatever a client may call.
    if (caller.origin === "client" && nesting.depth === 1) {
      if (prepared.private) return Effect.fail(RealmError.make("NotCallable", `function "${name}" is private`))
      const { mayCall } = prepared
      if (mayCall !== undefined && !mayCall({ ...rules, user, request })) {
        return Effect.fail(RealmError.make("FunctionExecutionError", `rule not matched for function "${name}"`))
      }
    }
    return Effect.succeed([prepared, { caller, nesting, user, request }])
  }

  const invoke = <A, E>(
    call: Call,
    nesting: FunctionCalls.Nesting,
    run: (prepared: Prepared, about: About) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | RealmError.FunctionError> =>
    Effect.flatMap(
      Effect.suspend(() => permitted(call, nesting)),
      ([prepared, about]) =>
        Effect.timeoutOrElse(run(prepared, about), {
          // The pool watches real time; this watches the clock of the program, which in tests is another.
          duration: timeLimit,
          orElse: () => Effect.fail(timedOut)
        })
    )

  /** The functions, for what is nested in calls of others. */
  const at = (nesting: FunctionCalls.Nesting): Functions["Service"] =>
    Functions.of({
      call: (options) => invoke(options, nesting, ({ run }, about) => run(options.args, about)),
      callJson: (options) => invoke(options, nesting, ({ runJson }, about) => runJson(options.args, about)),
      streamJson: (options) => invoke(options, nesting, ({ streamJson }, about) => streamJson(options.args, about))
    })

  return at({ depth: 1, within: undefined })
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * The functions of an app, and those of the `FunctionGroup` layers that are provided to it. The first worker starts up in
 * the background; all are stopped with the layer.
 *
 * Throws a `SchemaError` that names the field when an option is of the wrong type.
 *
 * ```ts
 * import { AppDefinition, Functions } from "@effect-realm/server"
 * import * as assert from "node:assert"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde" })
 * const layer = Functions.layer(app, { timeLimit: "10 seconds", workers: 2 })
 * assert.throws(() => Functions.layer(app, { workers: 0 }), /workers/)
 * void layer
 * ```
 */
export const layer = (app: AppDefinition, options: Options = {}): Layer.Layer<Functions> => {
  checkOptions(options)
  return Layer.effect(Functions, make(app, options))
}
