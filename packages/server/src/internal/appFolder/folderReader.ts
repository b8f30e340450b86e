/**
 * How the files of an exported app are read: what stands in them under our names, where each part stood, and what was found
 * wrong. Types and names are checked in one place, `AppDefinition`, so that a part which is wrong is told by file and line.
 */
import type * as PlatformError from "effect/PlatformError"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import {
  type ConfigFile,
  expand,
  type Finding,
  type Located,
  member,
  members,
  parse,
  type Place,
  placeOf,
  valueOf
} from "./configFile.ts"

/** The files of a folder. */
export interface Files {
  /** The folder itself. */
  readonly directory: string
  /** Name of the root configuration. */
  readonly root: string
  /** Every file, and `node_modules/` folders with a final `/`. */
  readonly paths: ReadonlyArray<string>
  /** Text of the files that are needed. */
  readonly contents: ReadonlyMap<string, Result.Result<string, PlatformError.PlatformError>>
}

/** A part of the definition as the files say it: of unknown types. */
export type Fields = { [name: string]: unknown }

/** A field of a file under our name. */
export interface Field {
  readonly as: string
  /** An empty text means the same as no field. */
  readonly optional?: true
}

/** The fields of an object in a file, by their names there. */
export type KnownFields = { readonly [name: string]: Field }

/** What reads a folder. */
export interface FolderReader {
  readonly files: Files
  readonly findings: ReadonlyArray<Finding>
  readonly say: (severity: Finding["severity"], place: Place, message: string) => void
  /** The text of a file; nothing when it is not there, or cannot be read. */
  readonly text: (path: string) => string | undefined
  /** A JSON file; nothing when it is not there, cannot be read, or is no JSON. */
  readonly open: (path: string) => ConfigFile | undefined
  /** From now on these stand for `%(%%environment.values.<path>)`. */
  readonly useEnvironment: (values: Schema.Json) => void
  /** A value, with those of the environment in it. */
  readonly expanded: (located: Located) => Schema.Json
  /** Remembers where a part of the definition stood, by its path in it. */
  readonly placed: (path: ReadonlyArray<PropertyKey>, place: Place) => void
  /**
   * Where a part of the definition stood; where the innermost part around it did, and what of the path is below that, by the
   * names of the files.
   */
  readonly placeOf: (
    path: ReadonlyArray<PropertyKey>
  ) => { readonly place: Place; readonly rest: string } | undefined
  /**
   * The members of an object under our names. What is not listed becomes a warning; names in `silent` are known to carry
   * nothing that is read here.
   */
  readonly fieldsOf: (
    object: Located,
    path: ReadonlyArray<PropertyKey>,
    known: KnownFields,
    silent: ReadonlyArray<string>
  ) => Fields
  /** What an object says of something else, unless it says `null`. */
  readonly inner: (object: Located, name: string) => Located | undefined
}

/** The beginning of a file, for what is wrong with it as a whole; for a folder, too. */
export const top = (file: string): Place => ({ file, line: 1 })

export const make = (files: Files): FolderReader => {
  const findings: Array<Finding> = []
  const report = (finding: Finding): void => {
    findings.push(finding)
  }
  const say: FolderReader["say"] = (severity, place, message) => report({ severity, ...place, message })

  const places = new Map<string, Place>()
  const placed: FolderReader["placed"] = (path, place) => {
    places.set(path.join("\0"), place)
  }

  // What a field is called in the files, by its path in the definition.
  const names = new Map<string, string>()

  const text = (path: string): string | undefined => {
    const content = files.contents.get(path)
    if (content === undefined) return undefined
    if (Result.isSuccess(content)) return content.success
    say("error", top(path), `The file cannot be read: ${content.failure.message}`)
    return undefined
  }

  const opened = new Map<string, ConfigFile | undefined>()
  let environment: Schema.Json = {}
  const expanded = (located: Located): Schema.Json => expand(located, environment, report)

  return {
    files,
    findings,
    say,
    text,
    open: (path) => {
      // Once, as what is wrong with it is to be said once.
      if (!opened.has(path)) {
        const content = text(path)
        opened.set(path, content === undefined ? undefined : parse(path, content, report))
      }
      return opened.get(path)
    },
    useEnvironment: (values) => {
      environment = values
    },
    expanded,
    placed,
    placeOf: (path) => {
      for (let length = path.length; length >= 0; length--) {
        const place = places.get(path.slice(0, length).join("\0"))
        if (place === undefined) continue
        const rest = path.slice(length).map((key, at) =>
          names.get(path.slice(0, length + at + 1).join("\0")) ?? String(key)
        )
        return { place, rest: rest.join(".") }
      }
      return undefined
    },
    fieldsOf: (object, path, known, silent) => {
      placed(path, placeOf(object))
      for (const [name, field] of Object.entries(known)) names.set([...path, field.as].join("\0"), name)
      const out: Fields = {}
      const all = members(object)
      if (all === undefined) {
        say("error", placeOf(object), "Expected an object")
        return out
      }
      for (const { name, place, value } of all) {
        const field = Object.hasOwn(known, name) ? known[name] : undefined
        if (field === undefined) {
          if (!silent.includes(name)) say("warning", place, `The field "${name}" is not supported and is ignored`)
          continue
        }
        placed([...path, field.as], placeOf(value))
        const read = expanded(value)
        if (read === null || (field.optional === true && read === "")) continue
        out[field.as] = read
      }
      return out
    },
    inner: (object, name) => {
      const found = member(object, name)
      return found === undefined || valueOf(found) === null ? undefined : found
    }
  }
}
