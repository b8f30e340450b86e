/**
 * Functions of the app that rules ask (`%function`). Rules are judged inside of the database's transaction, which waits for
 * nobody: what needs an answer that is not there is given up without a trace, the function is called, and it is tried again.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Caller, Functions } from "../../Functions.ts"
import { Unanswered } from "./documentAccess.ts"
import { FunctionFailed, type Scope } from "./ruleExpression.ts"

type Ask = NonNullable<Scope["ask"]>

/** How many different questions one operation may ask; each is a call. */
const maxQuestions = 1000

const tooMany = RealmError.make(
  "MongoDBError",
  `the rules of the collection ask functions more than ${maxQuestions} times: narrow the query`
)

/**
 * Does what `attempt` makes of the answers that are known, until it lacks none. Each question is asked once, so that all
 * of an operation is judged by the same answers; a function that fails is no answer, and grants nothing.
 *
 * @param caller whose rules are judged; the functions see him, and run without the limits on clients
 */
export const settle = <A, E, R>(
  caller: Caller,
  attempt: (ask: Ask) => Effect.Effect<A, E | Unanswered, R>
): Effect.Effect<A, Exclude<E, Unanswered> | RealmError.DataError, R | Functions> => {
  const answers = new Map<string, Result.Result<unknown, void>>()
  const ask: Ask = (name, args) => {
    const answer = answers.get(keyOf(name, args))
    if (answer === undefined) throw new Unanswered(name, args)
    if (Result.isFailure(answer)) throw new FunctionFailed()
    return answer.success
  }
  const loop: Effect.Effect<A, Exclude<E, Unanswered> | RealmError.DataError, R | Functions> = Effect.catch(
    attempt(ask),
    (error) => {
      if (!(error instanceof Unanswered)) return Effect.fail(error as Exclude<E, Unanswered>)
      if (answers.size === maxQuestions) return Effect.fail(tooMany)
      return Effect.flatMap(answerOf(caller, error), (answer) => {
        answers.set(keyOf(error.name, error.args), answer)
        return loop
      })
    }
  )
  return loop
}

const keyOf = (name: string, args: ReadonlyArray<unknown>): string =>
  JSON.stringify([name, Ejson.encodeUnsafe(args.map((arg) => arg === undefined ? null : arg))])

const answerOf = (
  caller: Caller,
  { args, name }: Unanswered
): Effect.Effect<Result.Result<unknown, void>, never, Functions> =>
  Functions.use(({ call }) =>
    call({ name, args: args.map((arg) => arg === undefined ? null : arg), caller: { ...caller, origin: "server" } })
  ).pipe(
    Effect.map((value) => Result.succeed(value)),
    Effect.catch((error) =>
      Effect.as(
        Effect.logWarning(`the function "${name}", which a rule asks, failed: ${error.reason.message}`),
        Result.fail(undefined)
      )
    )
  )
