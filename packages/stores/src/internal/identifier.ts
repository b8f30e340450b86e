/** Ids of apps and users as they are written where not every text can be, or where some characters mean something. */
import * as Option from "effect/Option"

export const written = (id: string): string => encodeURIComponent(id.toWellFormed())

const decoded = Option.liftThrowable(decodeURIComponent)

/** A text that nobody here has written is an id of nobody. */
export const read = (text: string): string => Option.getOrElse(decoded(text), () => text)
