/**
 * The access of one caller as the engine asks it: about exact fields, at once, and by throwing what he is refused.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Document, Numbers } from "../../Database.ts"
import type { Access } from "../../DatabaseAccess.ts"
import { exactDocument, type Fields, native } from "./bsonValue.ts"
import { type Access as EngineAccess, parseQuery } from "./documentSearch.ts"

/** Thrown through the engine by an access that refuses; the refusal itself stays with the access. */
class Refused extends Error {}

/** Values in the form that was asked for. */
export const valueIn = (numbers: Numbers): (value: unknown) => unknown =>
  numbers === "exact" ? (exact) => exact : native

/** Documents in the form that was asked for. */
export const documentIn = (numbers: Numbers): (fields: Fields) => Document =>
  // `native` makes of fields nothing but fields
  numbers === "exact" ? (fields) => fields : (fields) => native(fields) as Document

export interface Admission<Refusal> {
  /** For an operation that begins now, in milliseconds. */
  readonly access: (now: number) => EngineAccess
  /** What was refused, when the engine has thrown for that. */
  readonly refusal: (thrown: unknown) => Option.Option<Refusal>
}

/** Throws when the scope is no filter. */
export const admit = <Refusal>(allowed: Access<Refusal>, numbers: Numbers): Admission<Refusal> => {
  // by what was thrown, for several operations may be under way
  const refusals = new WeakMap<Refused, Option.Option<Refusal>>()
  const permitted = <A>(result: Result.Result<A, Refusal>): A => {
    if (Result.isSuccess(result)) return result.success
    const refused = new Refused()
    refusals.set(refused, Option.some(result.failure))
    throw refused
  }
  const document = documentIn(numbers)
  const optional = (fields: Fields | undefined): Option.Option<Document> =>
    fields === undefined ? Option.none() : Option.some(document(fields))
  // what is seen of an exact document is exact
  const fieldsOf = numbers === "exact" ? (seen: Document): Fields => seen : exactDocument
  const refusalOf = (thrown: unknown): Option.Option<Refusal> =>
    thrown instanceof Refused ? refusals.get(thrown) ?? Option.none() : Option.none()
  const { goesOn, judge, reach, scope, see, shows } = allowed
  const access: Omit<EngineAccess, "now"> = {
    scope: scope === undefined ? undefined : parseQuery(scope),
    see: see && ((fields, now) => {
      const whole = document(fields)
      const seen = Option.getOrUndefined(permitted(see(whole, now)))
      return seen === whole ? fields : seen && fieldsOf(seen)
    }),
    shows,
    reach: reach && ((fields) => permitted(reach(document(fields)))),
    judge: judge && ((before, after) => permitted(judge({ before: optional(before), after: optional(after) }))),
    goesOn: goesOn && ((thrown) => Option.exists(refusalOf(thrown), goesOn))
  }
  return {
    access: (now) => ({ ...access, now }),
    refusal: refusalOf
  }
}
