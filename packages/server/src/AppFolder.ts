/**
 * Apps as App Services exported them: a folder of JSON and JavaScript files becomes an `AppDefinition`, and what this
 * server does not support is told by file and line before anything is served.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Schema from "effect/Schema"
import type { AppDefinition } from "./AppDefinition.ts"
import * as Reading from "./internal/appFolder/appReading.ts"
import type { Files } from "./internal/appFolder/folderReader.ts"
import * as FunctionPackageReading from "./internal/appFolder/functionPackageReading.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** Something that was found in an exported app, and where. */
export interface Finding {
  /** `error`: the app cannot be served. `warning`: it can, without the part that is named. */
  readonly severity: "error" | "warning"
  /** Path below the app's folder, with `/`. */
  readonly file: string
  /** Line in the file, from 1; 1 for a folder. */
  readonly line: number
  readonly message: string
}

/** An app that was read, and what of its folder this server leaves aside. */
export interface Loaded {
  readonly app: AppDefinition
  readonly warnings: ReadonlyArray<Finding>
}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

const FindingSchema = Schema.Struct({
  severity: Schema.Literals(["error", "warning"]),
  file: Schema.String,
  line: Schema.Int,
  message: Schema.String
})

/**
 * Why a folder is no app to serve.
 *
 * - `NotAnAppFolder`: there is no such folder, or no app in it.
 * - `Invalid`: an app with errors; `findings` has them and the warnings.
 */
export const AppFolderErrorReason = Schema.TaggedUnion({
  NotAnAppFolder: { detail: Schema.String },
  Invalid: { findings: Schema.Array(FindingSchema) }
})

/** The type of {@link AppFolderErrorReason}. */
export type AppFolderErrorReason = typeof AppFolderErrorReason.Type

/**
 * An app folder could not be loaded; the message says what to do, error by error.
 *
 * ```ts
 * import { AppFolder } from "@effect-realm/server"
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { Effect } from "effect"
 *
 * const error = await AppFolder.load("no/such/folder").pipe(
 *   Effect.flip,
 *   Effect.provide(NodeServices.layer),
 *   Effect.runPromise
 * )
 * error instanceof AppFolder.AppFolderError // => true
 * error.message // => "no/such/folder is not an exported app: there is no such folder"
 * ```
 */
export class AppFolderError extends Schema.TaggedError<AppFolderError>("@effect-realm/server/AppFolderError")(
  "AppFolderError",
  { directory: Schema.String, reason: AppFolderErrorReason }
) {
  override get message(): string {
    const { reason } = this
    switch (reason._tag) {
      case "NotAnAppFolder":
        return `${this.directory} is not an exported app: ${reason.detail}`
      case "Invalid": {
        const errors = reason.findings.filter((finding) => finding.severity === "error")
        return [`${this.directory} has ${errors.length === 1 ? "an error" : `${errors.length} errors`}:`]
          .concat(errors.slice(0, 20).map(format))
          .concat(errors.length > 20 ? [`and ${errors.length - 20} more`] : [])
          .join("\n")
      }
    }
  }
}

/**
 * A finding as one line of text.
 *
 * ```ts
 * import { AppFolder } from "@effect-realm/server"
 *
 * const line = AppFolder.format({ severity: "warning", file: "triggers", line: 1, message: "Triggers are not supported yet" })
 * line // => "triggers:1: warning: Triggers are not supported yet"
 * ```
 */
export const format = (finding: Finding): string =>
  `${finding.file}:${finding.line}: ${finding.severity}: ${finding.message}`

// -----------------------------------------------------------------------------
// Reading the folder
// -----------------------------------------------------------------------------

const readFolder = Effect.fnUntraced(function*(
  directory: string
): Effect.fn.Return<Files, AppFolderError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const notAnApp = (detail: string) => new AppFolderError({ directory, reason: { _tag: "NotAnAppFolder", detail } })

  const info = yield* Effect.mapError(
    fs.stat(directory),
    (error) => notAnApp(error.reason._tag === "NotFound" ? "there is no such folder" : error.message)
  )
  if (info.type !== "Directory") return yield* notAnApp("it is a file; give the folder it is in")

  // First of all: a folder that is no app may be one of very many files.
  const names = yield* Effect.mapError(fs.readDirectory(directory), (error) => notAnApp(error.message))
  const root = Reading.roots.find((name) => names.includes(name))
  if (root === undefined) return yield* notAnApp(`it has none of ${Reading.roots.join(", ")}`)

  // Folder by folder rather than all at once: what lies in node_modules is many files and nothing of the app.
  const paths: Array<string> = []
  const list = Effect.fnUntraced(function*(
    folder: string
  ): Effect.fn.Return<void, PlatformError.PlatformError> {
    for (const name of (yield* fs.readDirectory(path.join(directory, folder))).toSorted()) {
      if (name === "node_modules" || name.startsWith(".")) {
        if (name === "node_modules") paths.push(`${folder}${name}/`)
        continue
      }
      const inner = `${folder}${name}`
      const { type } = yield* fs.stat(path.join(directory, inner))
      if (type === "Directory") yield* list(`${inner}/`)
      else paths.push(inner)
    }
  })
  yield* Effect.mapError(list(""), (error) => notAnApp(error.message))

  const contents = yield* Effect.forEach(
    paths.filter(Reading.isRead),
    (file) => Effect.map(Effect.result(fs.readFileString(path.join(directory, file))), (text) => [file, text] as const),
    { concurrency: 16 }
  )
  const manifests = yield* Effect.forEach(
    FunctionPackageReading.manifests(new Map(contents)),
    (file) => Effect.map(Effect.result(fs.readFileString(path.join(directory, file))), (text) => [file, text] as const),
    { concurrency: 16 }
  )
  return { directory: path.resolve(directory), root, paths, contents: new Map([...contents, ...manifests]) }
})

const examine = (directory: string) => Effect.flatMap(readFolder(directory), Reading.read)

/**
 * Loads an exported app, in the layout since 2021 (`root_config.json` or `realm_config.json`) or the one before (`config.json` or
 * `stitch.json`).
 *
 * Fails with `AppFolderError`: `NotAnAppFolder`, or `Invalid` with every finding when any of them is an error. What is only left aside is in `warnings`.
 *
 * @param directory path of the folder that holds the root configuration
 *
 * ```ts
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { AppFolder } from "@effect-realm/server"
 * import { Effect } from "effect"
 *
 * const error = await Effect.runPromise(
 *   AppFolder.load("./no-such-folder").pipe(Effect.flip, Effect.provide(NodeServices.layer))
 * )
 * error.reason._tag // => "NotAnAppFolder"
 * ```
 */
export const load = Effect.fn("AppFolder.load")(function*(
  directory: string
): Effect.fn.Return<Loaded, AppFolderError, FileSystem.FileSystem | Path.Path> {
  const { app, findings } = yield* examine(directory)
  if (app === undefined || findings.some((finding) => finding.severity === "error")) {
    return yield* new AppFolderError({ directory, reason: { _tag: "Invalid", findings } })
  }
  return { app, warnings: findings }
})

/**
 * Everything there is to say about an exported app, errors and warnings, by file and line.
 *
 * Fails with `AppFolderError` of reason `NotAnAppFolder`.
 *
 * ```ts
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { AppFolder } from "@effect-realm/server"
 * import { Effect } from "effect"
 * import { mkdtempSync, writeFileSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const folder = mkdtempSync(join(tmpdir(), "app-"))
 * writeFileSync(join(folder, "root_config.json"), "{ \"app_id\": \"shop-abcde\",\n  \"location\": 7 }")
 *
 * const findings = await Effect.runPromise(AppFolder.check(folder).pipe(Effect.provide(NodeServices.layer)))
 * findings.map((finding) => [finding.file, finding.line]) // => [["root_config.json", 2]]
 * ```
 */
export const check = Effect.fn("AppFolder.check")(function*(
  directory: string
): Effect.fn.Return<ReadonlyArray<Finding>, AppFolderError, FileSystem.FileSystem | Path.Path> {
  return (yield* examine(directory)).findings
})
