import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** How long something may take, in any form of a duration. */
export const TimeLimit = Schema.Unknown.check(
  Schema.makeFilter((limit) =>
    Option.exists(Duration.fromInput(limit as Duration.Input), (duration) => Duration.toMillis(duration) > 0)
      ? undefined
      : "Expected a duration of more than nothing, such as \"5 seconds\""
  )
)
