/**
 * The access of those who watch: one for all in whom the rules see the same user, so that they share what they see.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Option from "effect/Option"
import type { Access } from "../../Database.ts"
import type { Caller, RequestInfo, UserObject } from "../../Functions.ts"
import { setBounded } from "../boundedMap.ts"
import { requestDocument, userDocument } from "../functions/callScope.ts"
import * as Executor from "../functions/executor.ts"
import { memoized } from "../memoized.ts"
import * as DocumentAccess from "./documentAccess.ts"
import type { Scope } from "./ruleExpression.ts"

/** What rules can tell users apart by. */
export interface Sight {
  /** The access of a user. One that is the same as before is the same object, but where rules ask functions. */
  readonly access: (caller: Caller, scope: Scope) => Access<DocumentAccess.Refusal>
  /** Equal for those in whom the rules see the same user. */
  readonly key: (caller: Caller) => string
}

// so many are shared at most; who comes after has his own until then
const maxShared = 1000

const textOf = (document: Ejson.Document): string => JSON.stringify(Ejson.encodeUnsafe(document))

/** How rules see those who watch their collection. */
export const make = (rules: DocumentAccess.CompiledRules): Sight => {
  const { functions, request: readsRequest, user: readsUser } = rules.reads
  const userOf = memoized((user: UserObject) => textOf(userDocument(Option.some(user))))
  const requestOf = memoized((request: RequestInfo) => textOf(requestDocument(request)))
  const shared = new Map<string, Access<DocumentAccess.Refusal>>()

  const key = (caller: Caller): string => {
    const executor = Executor.inherited(caller)
    const user = Option.isNone(executor) ? "system" : readsUser ? userOf(executor.value) : "user"
    return `${user} ${readsRequest ? requestOf(caller.request) : ""}`
  }

  return {
    key,
    access: (caller, scope) => {
      if (functions) return DocumentAccess.watching(rules, scope)
      const own = key(caller)
      const known = shared.get(own)
      if (known !== undefined) return known
      const access = { ...DocumentAccess.watching(rules, scope), isSteady: true }
      setBounded(shared, own, access, maxShared)
      return access
    }
  }
}
