/**
 * Failures of the synchronous engine: thrown inside, turned into typed errors where the engine meets Effect.
 */
import { DatabaseError, type DatabaseErrorReason } from "../DatabaseError.ts"

export const failure = (reason: DatabaseErrorReason, cause?: unknown): DatabaseError =>
  new DatabaseError(cause === undefined ? { reason } : { reason, cause })

export const badFilter = (detail: string, operator?: string): DatabaseError =>
  failure(operator === undefined ? { _tag: "BadFilter", detail } : { _tag: "BadFilter", detail, operator })

export const badUpdate = (detail: string, operator?: string): DatabaseError =>
  failure(operator === undefined ? { _tag: "BadUpdate", detail } : { _tag: "BadUpdate", detail, operator })

export const badDocument = (path: string, detail: string): DatabaseError =>
  failure({ _tag: "BadDocument", path, detail })

/** Runs `f`, and lets a value that no document could hold be the fault of the filter or update it stands in. */
export const refusing = <A>(bad: (detail: string) => DatabaseError, f: () => A): A => {
  try {
    return f()
  } catch (error) {
    if (error instanceof DatabaseError && error.reason._tag === "BadDocument") {
      throw bad(error.reason.path === "" ? error.reason.detail : `${error.reason.detail} at "${error.reason.path}"`)
    }
    throw error
  }
}
