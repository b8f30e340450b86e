/**
 * Every stage and operator that MongoDB's manual lists: each works, or is refused by its name.
 */
import { Database } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { ObjectId } from "bson"
import * as Effect from "effect/Effect"

type Things = Database.Collection

const document = {
  _id: 1,
  n: 7,
  x: 0.5,
  text: "a-b",
  list: [3, 1, 2],
  flags: [true, false],
  pairs: [["a", 1]],
  inner: { a: 1 },
  date: new Date("2024-02-29T12:34:56.789Z"),
  id: new ObjectId("65e0728000000000000000ff"),
  place: { type: "Point", coordinates: [1, 2] }
}

/** An operand with which it works, or in which words it is refused. */
type Operand = { readonly works: unknown } | "not supported" | "runs code"

interface Named {
  readonly [name: string]: Operand
}

const works = (operands: { readonly [name: string]: unknown }): Named =>
  Object.fromEntries(Object.entries(operands).map(([name, operand]) => [name, { works: operand }]))

const refused = (names: string): Named =>
  Object.fromEntries(names.split(/\s+/).map((name) => [name, "not supported" as const]))

const stages: Named = {
  ...works({
    $addFields: { a: 1 },
    $bucket: { groupBy: "$n", boundaries: [0, 10] },
    $count: "n",
    $facet: { all: [{ $limit: 1 }] },
    $group: { _id: "$n" },
    $limit: 1,
    $lookup: { from: "others", localField: "n", foreignField: "n", as: "others" },
    $match: { n: 7 },
    $project: { n: 1 },
    $replaceRoot: { newRoot: "$inner" },
    $replaceWith: "$inner",
    $sample: { size: 1 },
    $set: { a: 1 },
    $skip: 1,
    $sort: { n: 1 },
    $sortByCount: "$n",
    $unionWith: "others",
    $unset: "n",
    $unwind: "$list"
  }),
  ...refused(
    `$bucketAuto $changeStream $changeStreamSplitLargeEvent $collStats $currentOp $densify $documents $fill $geoNear
    $graphLookup $indexStats $listClusterCatalog $listLocalSessions $listSampledQueries $listSearchIndexes $listSessions
    $merge $out $planCacheStats $querySettings $queryStats $rankFusion $redact $scoreFusion $search $searchMeta
    $setWindowFields $shardedDataDistribution $vectorSearch`
  )
}

const dateOf = { date: "$date" }
const part = { startDate: "$date", unit: "day", amount: 1 }

const expressions: Named = {
  // arithmetic
  ...works({
    $abs: "$n",
    $add: ["$n", 1],
    $ceil: "$x",
    $divide: ["$n", 2],
    $exp: "$x",
    $floor: "$x",
    $ln: "$n",
    $log: ["$n", 2],
    $log10: "$n",
    $mod: ["$n", 2],
    $multiply: ["$n", 2],
    $pow: ["$n", 2],
    $round: ["$x", 0],
    $sqrt: "$n",
    $subtract: ["$n", 1],
    $trunc: "$x"
  }),
  // trigonometry
  ...works({
    $acos: "$x",
    $asin: "$x",
    $atan: "$x",
    $atan2: ["$n", "$x"],
    $cos: "$x",
    $degreesToRadians: "$x",
    $radiansToDegrees: "$x",
    $sin: "$x",
    $tan: "$x"
  }),
  // arrays and sets
  ...works({
    $allElementsTrue: ["$flags"],
    $anyElementTrue: ["$flags"],
    $arrayElemAt: ["$list", 0],
    $arrayToObject: "$pairs",
    $concatArrays: ["$list", "$flags"],
    $filter: { input: "$list", cond: { $gt: ["$$this", 1] } },
    $first: "$list",
    $firstN: { n: 2, input: "$list" },
    $in: [1, "$list"],
    $indexOfArray: ["$list", 1],
    $isArray: "$list",
    $last: "$list",
    $lastN: { n: 2, input: "$list" },
    $map: { input: "$list", in: "$$this" },
    $maxN: { n: 2, input: "$list" },
    $minN: { n: 2, input: "$list" },
    $range: [0, 3],
    $reduce: { input: "$list", initialValue: 0, in: { $add: ["$$value", "$$this"] } },
    $reverseArray: "$list",
    $setDifference: ["$list", [1]],
    $setEquals: ["$list", [1]],
    $setIntersection: ["$list", [1]],
    $setIsSubset: [[1], "$list"],
    $setUnion: ["$list", [1]],
    $size: "$list",
    $slice: ["$list", 1],
    $sortArray: { input: "$list", sortBy: 1 },
    $zip: { inputs: ["$list", "$flags"] }
  }),
  // logic and comparison
  ...works({
    $and: [true],
    $cmp: ["$n", 1],
    $cond: [true, 1, 2],
    $eq: ["$n", 1],
    $gt: ["$n", 1],
    $gte: ["$n", 1],
    $ifNull: ["$none", 1],
    $let: { vars: { a: 1 }, in: "$$a" },
    $literal: "$n",
    $lt: ["$n", 1],
    $lte: ["$n", 1],
    $ne: ["$n", 1],
    $not: [true],
    $or: [true],
    // oxlint-disable-next-line unicorn/no-thenable -- a word of MongoDB's
    $switch: { branches: [{ case: true, then: 1 }] }
  }),
  // dates
  ...works({
    $dateAdd: part,
    $dateDiff: { startDate: "$date", endDate: "$date", unit: "day" },
    $dateFromParts: { year: 2024 },
    $dateFromString: { dateString: "2024-01-01" },
    $dateSubtract: part,
    $dateToParts: dateOf,
    $dateToString: dateOf,
    $dateTrunc: { date: "$date", unit: "day" },
    $dayOfMonth: "$date",
    $dayOfWeek: "$date",
    $dayOfYear: "$date",
    $hour: "$date",
    $isoDayOfWeek: "$date",
    $isoWeek: "$date",
    $isoWeekYear: "$date",
    $millisecond: "$date",
    $minute: "$date",
    $month: "$date",
    $second: "$date",
    $week: "$date",
    $year: "$date"
  }),
  // objects
  ...works({
    $getField: { field: "a", input: "$inner" },
    $mergeObjects: ["$inner", { b: 2 }],
    $objectToArray: "$inner",
    $setField: { field: "a", input: "$inner", value: 2 },
    $unsetField: { field: "a", input: "$inner" }
  }),
  // texts
  ...works({
    $concat: ["$text", "c"],
    $indexOfCP: ["$text", "b"],
    $ltrim: { input: "$text" },
    $regexFind: { input: "$text", regex: "a" },
    $regexFindAll: { input: "$text", regex: "a" },
    $regexMatch: { input: "$text", regex: "a" },
    $replaceAll: { input: "$text", find: "a", replacement: "b" },
    $replaceOne: { input: "$text", find: "a", replacement: "b" },
    $rtrim: { input: "$text" },
    $split: ["$text", "-"],
    $strLenBytes: "$text",
    $strLenCP: "$text",
    $strcasecmp: ["$text", "A"],
    $substr: ["$text", 0, 1],
    $substrBytes: ["$text", 0, 1],
    $substrCP: ["$text", 0, 1],
    $toLower: "$text",
    $toUpper: "$text",
    $trim: { input: "$text" }
  }),
  // types
  ...works({
    $convert: { input: "$n", to: "string" },
    $isNumber: "$n",
    $toBool: "$n",
    $toDate: "$id",
    $toDecimal: "$n",
    $toDouble: "$n",
    $toInt: "$n",
    $toLong: "$n",
    $toObjectId: "65e0728000000000000000ff",
    $toString: "$n",
    $type: "$n"
  }),
  // accumulators that are expressions too
  ...works({ $avg: "$list", $max: "$list", $min: "$list", $stdDevPop: "$list", $stdDevSamp: "$list", $sum: "$list" }),
  ...refused(
    `$acosh $asinh $atanh $binarySize $bitAnd $bitNot $bitOr $bitXor $bsonSize $cosh $encStrContains
    $encStrEndsWith $encStrNormalizedEq $encStrStartsWith $indexOfBytes $median $meta $percentile $rand $sampleRate
    $sigmoid $sinh $tanh $toHashedIndexKey $toUUID $tsIncrement $tsSecond`
  ),
  $accumulator: "runs code",
  $function: "runs code"
}

const several = { n: 2, input: "$n" }
const ranked = { sortBy: { n: 1 }, output: "$n" }

const accumulators: Named = {
  ...works({
    $addToSet: "$n",
    $avg: "$n",
    $bottom: ranked,
    $bottomN: { ...ranked, n: 2 },
    $count: {},
    $first: "$n",
    $firstN: several,
    $last: "$n",
    $lastN: several,
    $max: "$n",
    $maxN: several,
    $mergeObjects: "$inner",
    $min: "$n",
    $minN: several,
    $push: "$n",
    $stdDevPop: "$n",
    $stdDevSamp: "$n",
    $sum: "$n",
    $top: ranked,
    $topN: { ...ranked, n: 2 }
  }),
  ...refused("$concatArrays $median $percentile $setUnion"),
  $accumulator: "runs code",
  $function: "runs code"
}

/** Conditions on one field. */
const conditions: Named = {
  ...works({
    $all: [1],
    $bitsAllClear: 8,
    $bitsAllSet: 7,
    $bitsAnyClear: 8,
    $bitsAnySet: 7,
    $elemMatch: { $gt: 1 },
    $eq: 7,
    $exists: true,
    $gt: 1,
    $gte: 1,
    $in: [7],
    $lt: 9,
    $lte: 9,
    $mod: [7, 0],
    $ne: 1,
    $nin: [1],
    $not: { $gt: 9 },
    $regex: "a",
    $size: 1,
    $type: "int"
  }),
  ...refused("$geoIntersects $geoWithin $near $nearSphere")
}

/** Conditions on a document. */
const clauses: Named = {
  ...works({
    $and: [{ n: 7 }],
    $comment: "who is seven",
    $expr: { $eq: ["$n", 7] },
    $nor: [{ n: 1 }],
    $or: [{ n: 7 }]
  }),
  ...refused("$jsonSchema $rand $sampleRate $text"),
  $where: "runs code"
}

/** Operators of an update. */
const updates: Named = works({
  $addToSet: { list: { $each: [4] } },
  $bit: { n: { and: 5 } },
  $currentDate: { now: true },
  $inc: { n: 1 },
  $max: { n: 9 },
  $min: { n: 1 },
  $mul: { n: 2 },
  $pop: { list: 1 },
  $pull: { list: 1 },
  $pullAll: { list: [1] },
  $push: { list: { $each: [5], $position: 0, $slice: 3, $sort: 1 } },
  $rename: { n: "m" },
  $set: { n: 1 },
  $setOnInsert: { n: 1 },
  $unset: { n: "" }
})

const check = (
  kind: string,
  named: Named,
  use: (things: Things, name: string, operand: unknown) => Effect.Effect<unknown, Database.DatabaseError>
): void => {
  describe(kind, () => {
    for (const [name, operand] of Object.entries(named)) {
      it.effect(`${name} ${typeof operand === "object" ? "works" : `is refused: ${operand}`}`, () =>
        Effect.gen(function*() {
          const { collection } = yield* Database.Database
          const things = collection({ database: "app", collection: "things" })
          yield* things.insertOne(document)
          if (typeof operand === "object") {
            yield* use(things, name, operand.works)
            return
          }
          const { reason } = yield* Effect.flip(use(things, name, {}))
          assert.propertyVal(reason, "operator", name)
          assert.include("detail" in reason ? reason.detail : "", name)
          assert.include("detail" in reason ? reason.detail : "", operand)
          assert.deepStrictEqual(yield* things.count({}), 1)
        }).pipe(Effect.provide(Database.layerMemory)))
    }
  })
}

check("stages", stages, (things, name, operand) => things.aggregate([{ [name]: operand }]))
check(
  "expressions",
  expressions,
  (things, name, operand) => things.aggregate([{ $project: { v: { [name]: operand } } }])
)
check(
  "accumulators",
  accumulators,
  (things, name, operand) => things.aggregate([{ $group: { _id: null, v: { [name]: operand } } }])
)
check("conditions", conditions, (things, name, operand) => things.deleteMany({ other: 1, n: { [name]: operand } }))
check("clauses", clauses, (things, name, operand) => things.deleteMany({ other: 1, [name]: operand }))
check(
  "updates",
  updates,
  (things, name, operand) => things.updateOne({}, Object.fromEntries([[name, operand]]) as Database.UpdateOperators)
)
