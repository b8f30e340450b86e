export * as Bench from "./Bench.ts"
export * as Row from "./Row.ts"
export * as Sizes from "./Sizes.ts"
export * as Table from "./Table.ts"
