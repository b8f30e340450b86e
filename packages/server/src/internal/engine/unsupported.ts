/**
 * What MongoDB has and this engine has not: it is refused by its name, and never taken for a mistake in spelling.
 */

export const unsupportedStages: ReadonlySet<string> = new Set([
  "$bucketAuto",
  "$changeStream",
  "$changeStreamSplitLargeEvent",
  "$collStats",
  "$currentOp",
  "$densify",
  "$documents",
  "$fill",
  "$geoNear",
  "$graphLookup",
  "$indexStats",
  "$listClusterCatalog",
  "$listLocalSessions",
  "$listSampledQueries",
  "$listSearchIndexes",
  "$listSessions",
  "$merge",
  "$out",
  "$planCacheStats",
  "$querySettings",
  "$queryStats",
  "$rankFusion",
  "$redact",
  "$scoreFusion",
  "$search",
  "$searchMeta",
  "$setWindowFields",
  "$shardedDataDistribution",
  "$vectorSearch"
])

export const unsupportedExpressions: ReadonlySet<string> = new Set([
  "$acosh",
  "$asinh",
  "$atanh",
  "$binarySize",
  "$bitAnd",
  "$bitNot",
  "$bitOr",
  "$bitXor",
  "$bsonSize",
  "$cosh",
  "$encStrContains",
  "$encStrEndsWith",
  "$encStrNormalizedEq",
  "$encStrStartsWith",
  "$indexOfBytes",
  "$median",
  "$meta",
  "$percentile",
  "$rand",
  "$sampleRate",
  "$sigmoid",
  "$sinh",
  "$tanh",
  "$toHashedIndexKey",
  "$toUUID",
  "$tsIncrement",
  "$tsSecond"
])

export const unsupportedAccumulators: ReadonlySet<string> = new Set([
  "$concatArrays",
  "$median",
  "$percentile",
  "$setUnion"
])

export const unsupportedFilters: ReadonlySet<string> = new Set([
  "$geoIntersects",
  "$geoWithin",
  "$jsonSchema",
  "$near",
  "$nearSphere",
  "$rand",
  "$sampleRate",
  "$text"
])

/** Operators that run code of whoever sends them. */
export const codeOperators: ReadonlySet<string> = new Set(["$accumulator", "$function"])
