/**
 * `$expr`: a filter that is an aggregation expression.
 */
import { isTrue } from "./conversion.ts"
import { compileExpression } from "./expression.ts"
import type { Predicate } from "./queryCondition.ts"

/** The truth of an expression for a document in exact form. */
export const compileCondition = (expression: unknown): Predicate => {
  const compiled = compileExpression(expression)
  return (root, spend) => isTrue(compiled({ root, spend }))
}
