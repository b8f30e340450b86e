/** How the arguments of a function are read. */
import type * as Ejson from "@effect-realm/protocol/Ejson"

/**
 * How many values a request may bring along for a function. Reading a value takes a hundred times the memory of its text,
 * of which a worker has only so much; and while one request is read, all others wait.
 */
const maxNodes = 500_000

/** Numbers keep their types; where something is wrong, a path begins with `arguments`. */
export const argumentOptions: Ejson.DecodeOptions = { numbers: "exact", maxNodes, root: "arguments" }
