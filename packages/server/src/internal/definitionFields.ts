/** What the schemas of an app and of its parts have in common. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The default of a key. */
export const defaultTo = <A>(value: A): Effect.Effect<A> => Effect.succeed(value)

/** On or off, with what it is unless told otherwise. */
export const Switch = (initial: boolean) => Schema.Boolean.pipe(Schema.withConstructorDefault(defaultTo(initial)))

/** The name of a function: its path below `functions/` without `.js`. */
export const FunctionName = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, {
    expected: "a function name of letters, digits, \"_\" and \"-\", with \"/\" between folders"
  })
)

/** The name of a value, a service and the like. */
export const ObjectName = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, {
    expected: "a name of at most 64 letters, digits, \"_\" and \"-\" that begins with a letter or digit"
  })
)

/** What is said of items that have the name of another. */
export const duplicates = (
  path: ReadonlyArray<PropertyKey>,
  items: ReadonlyArray<{ readonly name: string }>
): ReadonlyArray<Schema.FilterIssue> => {
  const seen = new Set<string>()
  return items.flatMap(({ name }, index) => {
    if (!seen.has(name)) {
      seen.add(name)
      return []
    }
    return [{ path: [...path, index, "name"], issue: `"${name}" is there twice: names are unique` }]
  })
}
