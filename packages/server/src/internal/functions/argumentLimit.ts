/**
 * How many values a request may bring along for a function. Reading a value takes a hundred times the memory of its text,
 * of which a worker has only so much; and while one request is read, all others wait.
 */
export const maxNodes = 500_000
