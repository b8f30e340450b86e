/** Directories of sessions, and the processes that share them. */
import { SessionStorage, TokenStore } from "@effect-realm/client"
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import type { UserEvent } from "@effect-realm/client/UserEvent"
import { afterAll, assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { changes, generation, session } from "../../client/test/TokenStore.contract.ts"
import * as FileSessionStorage from "../src/FileSessionStorage.ts"
import type * as Writer from "./processes/writer.ts"

// In memory where there is such a folder: each commit waits for the disk.
export const root = Fs.mkdtempSync(join(Fs.existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "effect-realm-files-"))
afterAll(() => Fs.rmSync(root, { recursive: true, force: true }))

let directories = 0
export const newDirectory = () => join(root, String(directories++))

export const layerFiles = (directory: string) => FileSessionStorage.layer({ directory })

export const appId = "shop-abcde"
export const user = (userId: string): TokenStore.SessionKey => ({ appId, userId })
export const ann = user("ann")
export const bob = user("bob")
export const cleo = user("cleo")

// What is damaged on purpose is reported, too.
export const silence = Effect.provide(Logger.layer([]))

export interface Process {
  readonly storage: SessionStorage.SessionStorage["Service"]
  readonly store: TokenStore.TokenStore["Service"]
  readonly run: <A, E>(effect: Effect.Effect<A, E, TokenStore.TokenStore>) => Effect.Effect<A, E>
}

/** A process that shares a directory. */
export const open = (directory: string): Effect.Effect<Process, TokenStoreError, Scope.Scope> =>
  Effect.map(
    Layer.build(Layer.fresh(Layer.provideMerge(TokenStore.layerStorage, layerFiles(directory)))),
    (context) => ({
      storage: Context.get(context, SessionStorage.SessionStorage),
      store: Context.get(context, TokenStore.TokenStore),
      run: (effect) => Effect.provideContext(effect, context)
    })
  )

/** What a subscriber who has begun is told from now on. */
export const listen = ({ store }: Process) =>
  Effect.gen(function*() {
    const told = yield* Queue.unbounded<UserEvent | { readonly _tag: "Snapshot"; readonly missed: number }>()
    yield* Effect.forkScoped(Stream.runForEach(store.appChanges(appId), (event) => Queue.offer(told, event)))
    yield* Queue.take(told)
    return told
  })

/** Changes something until a subscriber is told of a change, or that there were some. */
export const hears = (told: Effect.Success<ReturnType<typeof listen>>, { run }: Process) =>
  Effect.raceFirst(
    Effect.gen(function*() {
      let last = 0
      while (true) {
        const event = yield* Queue.take(told)
        if (event._tag === "Snapshot") continue
        assert.isAbove(event.generation, last)
        last = event.generation
        if (last === (yield* run(generation(ann)))) return
      }
    }),
    Effect.forever(Effect.andThen(run(changes.refresh(ann)), Effect.sleep("50 millis")))
  )

export const inApp = (directory: string, ...names: ReadonlyArray<string>) => join(directory, appId, ...names)
export const userFile = (directory: string, { userId }: TokenStore.SessionKey) =>
  inApp(directory, "users", `${userId}.json`)

/** Commits a log-in over whatever is there. */
export const logInAnew = ({ store }: Process, key: TokenStore.SessionKey) =>
  store.commit(key, {
    expected: 0,
    session: Option.some(session(key, "anew")),
    event: { _tag: "LoggedIn", providerType: "local-userpass" },
    makeCurrent: true
  })

export const reasonOf = <A>(effect: Effect.Effect<A, TokenStoreError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** A test with a directory of its own. */
export const law = <A, E>(
  sentence: string,
  test: (directory: string) => Effect.Effect<A, E, Scope.Scope>,
  timeout = 20_000
) => it.live(sentence, () => silence(Effect.scoped(Effect.suspend(() => test(newDirectory())))), timeout)

export const walk = (directory: string): ReadonlyArray<string> =>
  Fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name))

export const isSuperuser = process.getuid?.() === 0
export const nobody = 65534

/** Says why a test is skipped. */
export const skips = (isSkipped: boolean, reason: string): boolean => {
  // eslint-disable-next-line no-console
  if (isSkipped) console.warn(`${reason}: a test of FileSessionStorage is skipped.`)
  return isSkipped
}

const script = fileURLToPath(new URL("processes/writer.ts", import.meta.url))

/** What came of writes in a process of its own, whose files have at most so many bytes. */
export const written = (options: Writer.Options, mostBytes?: number): ReadonlyArray<string> => {
  const node = [process.execPath, "--conditions=effect-realm-source", "--disable-warning=ExperimentalWarning", script]
  const [command, ...args] = mostBytes === undefined
    ? [...node, JSON.stringify(options)]
    : ["bash", "-c", `ulimit -f ${mostBytes / 1024}; exec "$@"`, "bash", ...node, JSON.stringify(options)]
  return JSON.parse(execFileSync(command!, args, { encoding: "utf8" }))
}
