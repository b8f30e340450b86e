export * as Faults from "./Faults.ts"
export * as Requests from "./Requests.ts"
