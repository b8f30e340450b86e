/**
 * How much our server answers over real sockets. The load comes from this process, which does nothing else; beside it
 * stands what the same load makes of a plain server, so that one sees how much of the figure is the load's own cost.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { scrypt } from "node:crypto"
import { promisify } from "node:util"
import * as Undici from "undici"
import * as Answerer from "./Answerer.ts"
import * as PlainServer from "./PlainServer.ts"
import * as Row from "./Row.ts"
import * as RunningServer from "./RunningServer.ts"
import type { Sizes } from "./Sizes.ts"

const providers = `/api/client/v2.0/app/${PlainServer.appId}/auth/providers`

const credentials = { username: "zoe@example.com", password: "correct horse" }

type Post = (path: string, body: string, authorization?: string) => Promise<unknown>

/** Sends requests over as many connections as are needed, and rejects whatever is not a success. */
const connect = (origin: string): Effect.Effect<Post, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Undici.Agent()),
      (agent) => Effect.promise(() => agent.destroy())
    ),
    (agent) => async (path, body, authorization) => {
      const { body: answer, statusCode } = await agent.request({
        origin,
        path,
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(authorization === undefined ? undefined : { authorization })
        },
        body
      })
      if (statusCode >= 300) throw new Error(`${path} answered ${statusCode}: ${await answer.text()}`)
      const text = await answer.text()
      return text === "" ? undefined : JSON.parse(text)
    }
  )

const logInAnonymously = (post: Post) => post(`${providers}/anon-user/login`, "{}")

const logInByPassword = (post: Post) => post(`${providers}/local-userpass/login`, JSON.stringify(credentials))

const callAs = (post: Post) =>
  Effect.promise(async () => {
    const authorization = `Bearer ${String(Reflect.get(Object(await logInAnonymously(post)), "access_token"))}`
    return () => post(PlainServer.callPath, PlainServer.callBody, authorization)
  })

/** Makes a key for the user of the credentials, and answers how a program logs in with it. */
const keyLogIn = (post: Post) =>
  Effect.promise(async () => {
    const authorization = `Bearer ${String(Reflect.get(Object(await logInByPassword(post)), "refresh_token"))}`
    const made = await post("/api/client/v2.0/auth/api_keys", JSON.stringify({ name: "bench" }), authorization)
    const body = JSON.stringify({ key: Reflect.get(Object(made), "key") })
    return () => post(`${providers}/api-key/login`, body)
  })

const hash = promisify<string, string, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt)

/** What a log-in by password cannot cost less than: the hash by itself, as hard as the server makes it by default. */
const hashAlone = () => hash(credentials.password, "sixteen bytes   ", 32, { N: 2 ** 15, r: 8, p: 3, maxmem: 2 ** 26 })

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const { origin: plainOrigin } = yield* Answerer.start
  const ours = yield* connect(yield* RunningServer.start)
  const plain = yield* connect(plainOrigin)
  const calls = yield* Effect.forEach([ours, plain], callAs)
  yield* Effect.promise(() =>
    ours(
      `${providers}/local-userpass/register`,
      JSON.stringify({ email: credentials.username, password: credentials.password })
    )
  )

  const logInByKey = yield* keyLogIn(ours)

  const { inFlight } = sizes
  const measurement = (name: string, atOnce: number, operation: () => Promise<unknown>, aim?: Row.Aim) => ({
    name,
    sample: Effect.promise(() => Row.rateOfPromise(operation, { millis: sizes.millis, inFlight: atOnce })),
    ...(aim === undefined ? undefined : { aim })
  })
  const [callOurs, callPlain] = calls
  const name = "ours, `effect-realm serve`"
  const peer = "plain node:http"

  return [
    yield* Row.measure(sizes.rounds, {
      measured: `server: function calls, ${inFlight.calls} in flight`,
      unit: "calls/s",
      ours: measurement(name, inFlight.calls, callOurs!, { _tag: "AtLeast", bound: 6700 }),
      peers: [measurement(peer, inFlight.calls, callPlain!)]
    }),
    yield* Row.measure(sizes.rounds, {
      measured: `server: anonymous log-ins, ${inFlight.logIns} in flight`,
      unit: "log-ins/s",
      ours: measurement(name, inFlight.logIns, () => logInAnonymously(ours)),
      peers: [measurement(peer, inFlight.logIns, () => logInAnonymously(plain))]
    }),
    yield* Row.measure(sizes.rounds, {
      measured: `server: log-ins by API key, ${inFlight.logIns} in flight`,
      unit: "log-ins/s",
      ours: measurement(name, inFlight.logIns, logInByKey),
      peers: [measurement(peer, inFlight.logIns, () => logInAnonymously(plain))]
    }),
    // Hashes are slow on purpose: a sample is one for each log-in in flight at least, which takes seconds.
    yield* Row.measure(Math.min(sizes.rounds, 3), {
      measured: `server: log-ins by email and password, ${inFlight.passwords} in flight`,
      unit: "log-ins/s",
      ours: measurement(name, inFlight.passwords, () => logInByPassword(ours)),
      peers: [measurement("scrypt alone", inFlight.passwords, hashAlone)]
    })
  ]
})
