/**
 * A change as one caller sees it: the difference of what he would have found before and after it.
 */
import { type Fields, isIdentical } from "./bsonValue.ts"
import type { Change } from "./change.ts"
import { type Access, view } from "./documentSearch.ts"
import { describeUpdate, type UpdateDescription } from "./updateDescription.ts"

export type SeenChange =
  | { readonly kind: "insert"; readonly after: Fields }
  | {
    readonly kind: "update"
    readonly before: Fields
    readonly after: Fields
    readonly description: UpdateDescription
  }
  | { readonly kind: "replace"; readonly before: Fields; readonly after: Fields }
  | { readonly kind: "delete"; readonly before: Fields }

/** `undefined` when nothing changed for him. A document that comes into his sight is an insertion, whatever was done. */
export const viewChange = (access: Access, change: Change): SeenChange | undefined => {
  const before = change.before && view(access, change.before)
  const after = change.after && view(access, change.after)
  if (before === undefined) return after && { kind: "insert", after }
  if (after === undefined) return { kind: "delete", before }
  const seesAll = before === change.before && after === change.after
  if (!seesAll && isIdentical(before, after)) return undefined
  if (change.kind === "replace") return { kind: "replace", before, after }
  return { kind: "update", before, after, description: seesAll ? change.description : describeUpdate(before, after) }
}
