/**
 * What an operation on a collection is given, in either form of its call: the collection first, or last.
 */
import * as Effect from "effect/Effect"
import * as Pipeable from "effect/Pipeable"
import type { Collection, ResultSchema } from "../../Collection.ts"
import type { Document } from "../../Filter.ts"
import * as DocumentCalls from "./documentCalls.ts"

export type AnyCollection = Collection<unknown, unknown>

/** What else comes first is a filter, a pipeline or options: a plain value. */
export const isDataFirst = (args: IArguments): boolean => args[0] instanceof Pipeable.Class

/** What the options of any operation may hold, as it is sent; `schema` stays here. */
export interface AnyOptions {
  readonly projection?: Document
  readonly sort?: Document
  readonly limit?: number
  readonly upsert?: boolean
  readonly returnNewDocument?: boolean
  readonly arrayFilters?: ReadonlyArray<Document>
  readonly schema?: ResultSchema<unknown>
}

/** What a schema in the options says, or that of the collection. */
export type Answered<A, B> = [B] extends [never] ? A : B

/** Decodes documents by the schema of the options, or of the collection. */
export const decoder = (self: AnyCollection, options: AnyOptions | undefined) => (document: Document) =>
  DocumentCalls.decode(self, options?.schema ?? self.schema, document)

/** The same for one that may be missing. */
export const optionalDecoder = (self: AnyCollection, options: AnyOptions | undefined) => (document: Document | null) =>
  document === null ? Effect.succeedNone : Effect.asSome(decoder(self, options)(document))
