/**
 * `$expr`: a filter that is an aggregation expression.
 */
import type { Fields } from "./bsonValue.ts"
import { isTrue } from "./conversion.ts"
import { compileExpression } from "./expression.ts"
import { limitedSteps } from "./expressionScope.ts"

/** The truth of an expression for a document in exact form. */
export const compileCondition = (expression: unknown): (document: Fields) => boolean => {
  const compiled = compileExpression(expression)
  return (root) => isTrue(compiled({ root, spend: limitedSteps() }))
}
