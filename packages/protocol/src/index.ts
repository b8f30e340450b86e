export * as Api from "./Api.ts"
export * as Endpoint from "./Endpoint.ts"
export * as RealmError from "./RealmError.ts"
export * as Token from "./Token.ts"
