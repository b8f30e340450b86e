/**
 * Operators of aggregation expressions whose operands have names, and which look at their values alone.
 */
import { badFilter } from "./failure.ts"
import type { Spend } from "./steps.ts"

/** The operands that were given, by name; `null` for one whose value is not there. */
export interface NamedOperands {
  readonly [name: string]: unknown
}

export interface NamedOperator {
  readonly required: ReadonlyArray<string>
  readonly optional: ReadonlyArray<string>
  readonly apply: (operands: NamedOperands, spend: Spend) => unknown
}

/** Checks which operands are given. */
export const checkNames = (
  operator: string,
  operands: object,
  required: ReadonlyArray<string>,
  optional: ReadonlyArray<string>
): void => {
  for (const name of Object.keys(operands)) {
    if (!required.includes(name) && !optional.includes(name)) {
      throw badFilter(`Unrecognized argument to ${operator}: ${name}`, operator)
    }
  }
  for (const name of required) {
    if (!Object.hasOwn(operands, name)) throw badFilter(`Missing '${name}' parameter to ${operator}`, operator)
  }
}
