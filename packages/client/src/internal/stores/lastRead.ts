/** What the last texts said, by whose they are: most are read again and again, and say the same. */

// How many texts are known beside what they say.
const kept = 1024

export interface LastRead<A> {
  /** What the text of a name says, when it is the last one of that name. */
  readonly recall: (name: string, text: string) => A | undefined
  /** Notes what the text of a name says, and answers it. */
  readonly note: (name: string, text: string, said: A) => A
}

export const make = <A>(): LastRead<A> => {
  const known = new Map<string, { readonly text: string; readonly said: A }>()
  return {
    recall: (name, text) => {
      const last = known.get(name)
      return last?.text === text ? last.said : undefined
    },
    note: (name, text, said) => {
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
  }
}
