export * as Faults from "./Faults.ts"
export * as RealmTest from "./RealmTest.ts"
export * as Requests from "./Requests.ts"
