/** What the last texts said, by whose they are: most are read again and again, and say the same. */
import * as Effect from "effect/Effect"

// How many texts are known beside what they say.
const kept = 1024

/** Answers what the text of a name says; it is read only when the last one of that name was another. */
export type LastRead<A> = <E, R>(
  name: string,
  text: string,
  read: () => Effect.Effect<A, E, R>
) => Effect.Effect<A, E, R>

export const make = <A>(): LastRead<A> => {
  const known = new Map<string, { readonly text: string; readonly said: A }>()

  const remember = (name: string, text: string, said: A): A => {
    known.delete(name)
    known.set(name, { text, said })
    if (known.size > kept) {
      for (const oldest of known.keys()) {
        known.delete(oldest)
        break
      }
    }
    return said
  }

  return (name, text, read) => {
    const found = known.get(name)
    return found?.text === text
      ? Effect.succeed(found.said)
      : Effect.map(Effect.suspend(read), (said) => remember(name, text, said))
  }
}
