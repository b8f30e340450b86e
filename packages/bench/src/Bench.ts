/**
 * All rows of the bench, in the order of the page.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as BundleSize from "./BundleSize.ts"
import * as CallOverhead from "./CallOverhead.ts"
import * as DocumentOperations from "./DocumentOperations.ts"
import * as ExpiredToken from "./ExpiredToken.ts"
import * as ExtendedJson from "./ExtendedJson.ts"
import * as FunctionCalls from "./FunctionCalls.ts"
import * as FunctionRuns from "./FunctionRuns.ts"
import type { Row } from "./Row.ts"
import * as SealedSpeed from "./SealedSpeed.ts"
import * as ServerLoad from "./ServerLoad.ts"
import * as ServerStart from "./ServerStart.ts"
import * as SessionHeap from "./SessionHeap.ts"
import type { Sizes } from "./Sizes.ts"
import * as StoreSharing from "./StoreSharing.ts"
import * as StoreSize from "./StoreSize.ts"
import * as StoreSpeed from "./StoreSpeed.ts"
import * as TabSpeed from "./TabSpeed.ts"
import * as Watching from "./Watching.ts"

/** The parts of the bench by name, quick ones first; each answers some rows. */
export const parts: {
  readonly [name: string]: (sizes: Sizes) => Effect.Effect<ReadonlyArray<Row>, never, Scope.Scope>
} = {
  bundle: BundleSize.rows,
  ejson: ExtendedJson.rows,
  functions: FunctionRuns.rows,
  start: ServerStart.rows,
  expired: ExpiredToken.rows,
  overhead: CallOverhead.rows,
  heap: SessionHeap.rows,
  calls: FunctionCalls.rows,
  server: ServerLoad.rows,
  watch: Watching.rows,
  documents: DocumentOperations.rows,
  encrypted: SealedSpeed.rows,
  sharing: StoreSharing.rows,
  // Without a browser there are no tabs, and there is something else to measure.
  stores: (sizes) => Effect.map(Effect.all([StoreSpeed.rows(sizes), TabSpeed.rows(sizes)]), (rows) => rows.flat()),
  users: StoreSize.rows
}

/** Measures one part, and ends what it started. */
export const run = (name: string, sizes: Sizes): Effect.Effect<ReadonlyArray<Row>> => {
  const part = parts[name]
  return part === undefined
    ? Effect.die(new Error(`There is no part "${name}": say one of ${Object.keys(parts).join(", ")}`))
    : Effect.scoped(part(sizes))
}
