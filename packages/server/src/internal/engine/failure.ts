/**
 * Failures of the synchronous engine: thrown inside, turned into typed errors where the engine meets Effect.
 */
import { DatabaseError, type DatabaseErrorReason } from "../../DatabaseError.ts"

export const failure = (reason: DatabaseErrorReason, cause?: unknown): DatabaseError =>
  new DatabaseError(cause === undefined ? { reason } : { reason, cause })

export const badFilter = (detail: string, operator?: string): DatabaseError =>
  failure(operator === undefined ? { _tag: "BadFilter", detail } : { _tag: "BadFilter", detail, operator })

export const badUpdate = (detail: string, operator?: string): DatabaseError =>
  failure(operator === undefined ? { _tag: "BadUpdate", detail } : { _tag: "BadUpdate", detail, operator })

export const badDocument = (path: string, detail: string): DatabaseError =>
  failure({ _tag: "BadDocument", path, detail })

/** What was thrown while a pipeline was compiled or run, as the fault of the pipeline when it is one of what it says. */
export const badPipeline = (error: unknown): unknown => {
  if (!(error instanceof DatabaseError)) return error
  const { reason } = error
  switch (reason._tag) {
    case "BadFilter":
      return failure({ ...reason, _tag: "BadPipeline" })
    case "BadDocument":
      return failure({ _tag: "BadPipeline", detail: reason.detail })
    default:
      return error
  }
}

/**
 * Runs `f`, and lets what is wrong be the fault of the filter or update it stands in: a value that no document could hold, a
 * filter within an update.
 */
export const refusing = <A>(bad: (detail: string, operator?: string) => DatabaseError, f: () => A): A => {
  try {
    return f()
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    const { reason } = error
    if (reason._tag === "BadFilter") throw bad(reason.detail, reason.operator)
    if (reason._tag !== "BadDocument") throw error
    throw bad(reason.path === "" ? reason.detail : `${reason.detail} at "${reason.path}"`)
  }
}
