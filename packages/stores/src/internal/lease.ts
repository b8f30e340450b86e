/** When a lease that is written down ends, by a clock that may be set otherwise meanwhile. */
import * as Duration from "effect/Duration"

/** No lease is given for longer. */
export const longest = Duration.minutes(2)

/** Whether a lease still lasts: one that would last longer than any is of before the clock was set back. */
export const lasts = (until: number, now: number): boolean => until > now && until <= now + Duration.toMillis(longest)
