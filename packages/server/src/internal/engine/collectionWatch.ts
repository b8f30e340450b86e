/**
 * A collection that is watched by one who may become another meanwhile.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Reader, Watched, WatchOptions } from "../../ChangeStream.ts"
import type { Namespace, Numbers } from "../../Database.ts"
import type { Access } from "../../DatabaseAccess.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import { changeStream, type Reader as EngineReader } from "./changeStream.ts"
import type { Connections } from "./connections.ts"
import { type Admission, admit, documentIn, valueIn } from "./engineAccess.ts"
import { toDatabaseError } from "./sqliteFile.ts"

/** What all who see everything share. */
const everything = {}

/** What a reader shares what he sees by; exact numbers alone are shared, for that is the form that travels. */
const sightOf = <Refusal>(allowed: Access<Refusal>, numbers: Numbers): object | undefined => {
  if (numbers !== "exact") return undefined
  if (allowed.scope === undefined && allowed.see === undefined) return everything
  return allowed.isSteady === true ? allowed : undefined
}

/**
 * The changes of a collection, as `watchAs` tells them.
 *
 * @param watched.filename where the database is, for its errors
 */
export const make = <Refusal, E>(
  { connections, filename, namespace, numbers, who }: {
    readonly connections: Connections
    readonly filename: string
    readonly namespace: Namespace
    readonly numbers: Numbers
    readonly who: Reader<Refusal, E>
  },
  { only, resumeAfter }: WatchOptions
): Stream.Stream<Watched, DatabaseError | E> => {
  const failed = (error: unknown): DatabaseError => toDatabaseError(filename, error)
  const open = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => connections.write((store) => store.watch(namespace, resumeAfter, now), failed)
  )

  let present: {
    readonly allowed: Access<Refusal>
    readonly admission: Admission<Refusal>
    readonly reader: EngineReader
  } | undefined
  const readerOf = (allowed: Access<Refusal>): EngineReader => {
    if (present?.allowed === allowed) return present.reader
    const admission = admit(allowed, numbers)
    present = { allowed, admission, reader: { access: admission.access, sight: sightOf(allowed, numbers) } }
    return present.reader
  }
  const reader = (thrown: Option.Option<unknown>): Effect.Effect<EngineReader, DatabaseError | E> => {
    const refused = Option.flatMap(thrown, (error) => present?.admission.refusal(error) ?? Option.none())
    if (Option.isSome(thrown) && Option.isNone(refused)) return Effect.fail(failed(thrown.value))
    return Effect.flatMap(
      who(refused),
      (allowed) => Effect.try({ try: () => readerOf(allowed), catch: failed })
    )
  }

  return changeStream(open, reader, { namespace, document: documentIn(numbers), value: valueIn(numbers), only })
}
