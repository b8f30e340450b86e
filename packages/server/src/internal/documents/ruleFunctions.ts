/**
 * Functions of the app that rules ask (`%function`). Rules are judged inside of the database's transaction, which waits for
 * nobody: what needs an answer that is not there is given up without a trace, the function is called, and it is tried again.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Caller, Functions } from "../../Functions.ts"
import { Unanswered } from "./documentAccess.ts"
import { FunctionFailed, type Scope } from "./ruleExpression.ts"

/** Answers a question of a rule, or throws what is lacking. */
export type Ask = NonNullable<Scope["ask"]>

/**
 * For so many milliseconds one operation may ask. How often it asks is not counted: that would tell how many documents there
 * are that are not seen, where the time tells no more than its caller sees by his own watch.
 */
const patience = 60_000

const tooLong = RealmError.make(
  "MongoDBError",
  `the rules of the collection ask functions for more than ${patience / 1000} seconds: narrow the query`
)

/** What functions have answered. */
export interface Answers {
  readonly ask: Ask
  /** What was asked and has no answer yet. */
  readonly lacking: ReadonlyMap<string, Unanswered>
  /** Asks a function. */
  readonly learn: (caller: Caller, question: Unanswered) => Effect.Effect<void, never, Functions>
  readonly size: () => number
}

/**
 * No answers yet. Each question is asked once, so that all that is judged by these answers is judged by the same ones; a
 * function that fails is no answer, and grants nothing.
 */
export const makeAnswers = (): Answers => {
  const answers = new Map<string, Result.Result<unknown, void>>()
  const lacking = new Map<string, Unanswered>()
  return {
    ask: (name, args) => {
      const key = keyOf(name, args)
      const answer = answers.get(key)
      if (answer === undefined) {
        const question = new Unanswered(name, args)
        lacking.set(key, question)
        throw question
      }
      if (Result.isFailure(answer)) throw new FunctionFailed()
      return answer.success
    },
    lacking,
    learn: (caller, question) =>
      Effect.map(answerOf(caller, question), (answer) => {
        const key = keyOf(question.name, question.args)
        lacking.delete(key)
        answers.set(key, answer)
      }),
    size: () => answers.size
  }
}

/**
 * Does what `attempt` makes of the answers that are known, until it lacks none. Each time it may go on until it lacks twice as
 * many answers as the time before, or what asks about many documents would begin anew for each of them. Fails when functions
 * take too long.
 *
 * @param caller whose rules are judged; the functions see him, and run without the limits on clients
 */
export const settle = <A, E, R>(
  caller: Caller,
  attempt: (ask: Ask, goesOn: (refusal: unknown) => boolean) => Effect.Effect<A, E | Unanswered, R>
): Effect.Effect<A, Exclude<E, Unanswered> | RealmError.DataError, R | Functions> => {
  const { ask, lacking, learn } = makeAnswers()
  const learnAll = (until: number) =>
    Effect.forEach(
      [...lacking.values()],
      (question) =>
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) => now > until ? Effect.fail(tooLong) : learn(caller, question)
        ),
      { discard: true }
    )
  const loop = (
    most: number,
    until: number
  ): Effect.Effect<A, Exclude<E, Unanswered> | RealmError.DataError, R | Functions> =>
    Effect.catch(
      attempt(ask, (refusal) => refusal instanceof Unanswered && lacking.size < most),
      (error) =>
        error instanceof Unanswered
          ? Effect.andThen(learnAll(until), loop(2 * most, until))
          : Effect.fail(error as Exclude<E, Unanswered>)
    )
  return Effect.flatMap(Clock.currentTimeMillis, (now) => loop(1, now + patience))
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
