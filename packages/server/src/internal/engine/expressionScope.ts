/**
 * What an expression sees while it is evaluated: the document, the time, its variables and how far it may go.
 */
import { type Fields, getField, isArray, isFields } from "./bsonValue.ts"
import type { Path } from "./documentPath.ts"
import type { Spend } from "./steps.ts"

interface Binding {
  readonly name: string
  readonly value: unknown
  readonly next: Binding | undefined
}

/** What documents are looked at with, whichever they are. */
export interface Setting {
  /** In milliseconds. Where there is none, there are no expressions. */
  readonly now?: number | undefined
  readonly spend: Spend
  readonly bindings?: Binding | undefined
}

/** What an expression is evaluated for. */
export interface Scope extends Setting {
  readonly root: Fields
}

export type Expression = (scope: Scope) => unknown

/** The variables that an expression may name. */
export type Names = ReadonlySet<string>

/** The scope in which a variable has a value. */
export const bind = (scope: Scope, name: string, value: unknown): Scope => ({
  ...scope,
  bindings: { name, value, next: scope.bindings }
})

/** The value of a variable. */
export const bound = (scope: Scope, name: string): unknown => {
  let binding = scope.bindings
  while (binding !== undefined && binding.name !== name) binding = binding.next
  return binding?.value
}

/** The value of a path in expressions: arrays on the way become the arrays of what their elements have there. */
export const fieldAt = (value: unknown, path: Path, from = 0): unknown => {
  let current = value
  for (let index = from; index < path.length; index++) {
    if (isArray(current)) {
      return current.map((element) => isArray(element) ? undefined : fieldAt(element, path, index))
        .filter((element) => element !== undefined)
    }
    current = isFields(current) ? getField(current, path[index] ?? "") : undefined
  }
  return current
}
