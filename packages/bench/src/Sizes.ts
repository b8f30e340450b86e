/**
 * How much is measured: as much as a figure needs, or so little that a test can run every row.
 */

/** How much each row measures. */
export interface Sizes {
  /** How often each subject of a row is measured, in turn with its peers. */
  readonly rounds: number
  /** How long a rate is measured for, in milliseconds. */
  readonly millis: number
  /** How many calls or log-ins the cost of one is the mean of. */
  readonly repetitions: number
  /** How many calls, log-ins and log-ins by password are under way at a time where there are many. */
  readonly inFlight: { readonly calls: number; readonly logIns: number; readonly passwords: number }
  /** How many calls find the same expired token. */
  readonly callers: number
  /** How many processes share a store. */
  readonly processes: number
  /** How many users a store holds. */
  readonly users: { readonly few: number; readonly some: number; readonly many: number }
  /** How many users realm-web holds: its log-in grows dearer with each. */
  readonly usersOfRealmWeb: number
  /** How many documents a collection holds. */
  readonly documents: { readonly few: number; readonly many: number }
  /** How many watch a collection. */
  readonly watchers: { readonly few: number; readonly some: number; readonly many: number }
}

export const full: Sizes = {
  rounds: 7,
  millis: 600,
  repetitions: 500,
  inFlight: { calls: 64, logIns: 16, passwords: 4 },
  callers: 1000,
  processes: 8,
  users: { few: 10, some: 1000, many: 100_000 },
  usersOfRealmWeb: 400,
  documents: { few: 1000, many: 100_000 },
  watchers: { few: 1, some: 100, many: 1000 }
}

export const tiny: Sizes = {
  rounds: 2,
  millis: 10,
  repetitions: 3,
  inFlight: { calls: 2, logIns: 2, passwords: 1 },
  callers: 10,
  processes: 2,
  users: { few: 1, some: 2, many: 3 },
  usersOfRealmWeb: 3,
  documents: { few: 10, many: 20 },
  watchers: { few: 1, some: 2, many: 3 }
}
