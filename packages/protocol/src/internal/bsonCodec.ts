/**
 * From any schema the codec whose encoded side is BSON values: what Extended JSON carries, and a function of the app
 * expects. Dates, bytes, ids and 64-bit integers stay what they are; only what has no BSON type of its own (an `Option`, a
 * `URL`, a `Map`) takes the form that the schema has in JSON.
 */
import { Binary, type Long } from "bson"
import { identity } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { annotation, type FromNative } from "./ejsonNative.ts"

const anything = Schema.Unknown.ast

// The source node checks what comes out, so `unknown` in between is safe.
const through = (
  decode: (value: unknown) => unknown,
  encode: (value: unknown) => unknown = identity
): SchemaAST.Link =>
  new SchemaAST.Link(
    anything,
    new SchemaTransformation.Transformation(SchemaGetter.transform(decode), SchemaGetter.transform(encode))
  )

const isLong = (value: unknown): value is Long =>
  Predicate.hasProperty(value, "_bsontype") && value._bsontype === "Long"

const isInt64 = (value: bigint): boolean => BigInt.asIntN(64, value) === value

// BSON has no integers of more than 64 bits: they travel as their digits.
const toBigInt = through(
  (value) => {
    if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value)
    if (isLong(value)) return value.toBigInt()
    return typeof value === "string" && /^-?\d{19,}$/.test(value) ? BigInt(value) : value
  },
  (value) => typeof value === "bigint" && !isInt64(value) ? String(value) : value
)

const isBinary = (value: unknown): value is Binary =>
  Predicate.hasProperty(value, "_bsontype") && value._bsontype === "Binary"

// A copy of its own: the bytes of a `Binary` may be a view into a larger buffer, of a class of Node.js.
const toBytes = through((value) =>
  isBinary(value) && value.sub_type === Binary.SUBTYPE_DEFAULT ? Uint8Array.from(value.value()) : value
)

interface UndefinedWrapper {
  readonly $undefined: true
}

const isUndefinedWrapper = (value: unknown): value is UndefinedWrapper =>
  Predicate.hasProperty(value, "$undefined") && value.$undefined === true

// Extended JSON leaves members out that are `undefined`, unless they say so.
const toUndefined = new SchemaAST.Link(
  Schema.declare((value): value is undefined | UndefinedWrapper => value === undefined || isUndefinedWrapper(value), {
    expected: "undefined"
  }).ast,
  new SchemaTransformation.Transformation(
    SchemaGetter.transform(() => undefined),
    SchemaGetter.transform(() => ({ $undefined: true as const }))
  )
)

const native = new Set(["effect/schema/Date"])

const representationId = (ast: SchemaAST.Declaration): unknown => {
  const representation = ast.annotations?.["representation"]
  return Predicate.hasProperty(representation, "id") ? representation.id : undefined
}

const linkOf = (ast: SchemaAST.Declaration): SchemaAST.Link | undefined => {
  const { annotations, typeParameters } = ast
  if (annotations === undefined) return undefined
  if (annotation in annotations) {
    // Only this package writes the annotation.
    const fromNative = annotations[annotation] as FromNative
    return fromNative === undefined ? undefined : through(fromNative)
  }
  const id = representationId(ast)
  if (id === "effect/schema/Uint8Array") return toBytes
  if (native.has(String(id))) return undefined
  const link = annotations["toCodecJson"] ?? annotations["toCodec"]
  if (!Predicate.isFunction(link)) return undefined
  // What these annotations are is said by `Schema.Annotations.Declaration`.
  const make = link as (parameters: ReadonlyArray<Schema.Top>) => SchemaAST.Link | undefined
  const found = make(typeParameters.map((parameter) => Schema.make<Schema.Top>(SchemaAST.toEncoded(parameter))))
  return found === undefined ? undefined : new SchemaAST.Link(walk(found.to), found.transformation)
}

const copy = <A extends SchemaAST.AST>(ast: A, changes: Partial<SchemaAST.AST>): A =>
  // As Effect itself copies nodes: they are immutable and made of enumerable fields.
  Object.assign(Object.create(Object.getPrototypeOf(ast) as object), ast, changes) as A

/** The node with a last step of encoding; whether its key may be missing is true of both sides. */
const encodedBy = <A extends SchemaAST.AST>(ast: A, link: SchemaAST.Link | undefined): A => {
  if (link === undefined) return ast
  const { context } = ast
  const to = context === undefined ? link.to : copy(link.to, {
    context: new SchemaAST.Context(context.isOptional, context.isMutable, undefined, context.annotations)
  })
  return copy(ast, { encoding: [new SchemaAST.Link(to, link.transformation)] })
}

const step = (ast: SchemaAST.AST): SchemaAST.AST => {
  switch (ast._tag) {
    case "Declaration":
      return encodedBy(ast, linkOf(ast))
    case "BigInt":
      return encodedBy(ast, toBigInt)
    case "Literal":
      return typeof ast.literal === "bigint" ? encodedBy(ast, toBigInt) : ast
    case "Undefined":
      return encodedBy(ast, toUndefined)
    case "Arrays":
      return new SchemaAST.Arrays(
        ast.isMutable,
        ast.elements.map(walk),
        ast.rest.map(walk),
        ast.annotations,
        ast.checks,
        undefined,
        ast.context,
        ast.encodingChecks
      )
    case "Objects":
      return new SchemaAST.Objects(
        ast.propertySignatures.map(({ name, type }) => new SchemaAST.PropertySignature(name, walk(type))),
        ast.indexSignatures.map(({ parameter, type }) => new SchemaAST.IndexSignature(parameter, walk(type))),
        ast.annotations,
        ast.checks,
        undefined,
        ast.context,
        ast.encodingChecks
      )
    case "Union":
      return new SchemaAST.Union(
        ast.types.map(walk),
        ast.options,
        ast.annotations,
        ast.checks,
        undefined,
        ast.context,
        ast.encodingChecks
      )
    case "Suspend":
      return new SchemaAST.Suspend(() => walk(ast.thunk()), ast.annotations, ast.checks, undefined, ast.context)
    default:
      return ast
  }
}

const known = new WeakMap<SchemaAST.AST, SchemaAST.AST>()

const walk = (ast: SchemaAST.AST): SchemaAST.AST => {
  const found = known.get(ast)
  if (found !== undefined) return found
  const last = ast.encoding?.at(-1)
  const walked = ast.encoding === undefined || last === undefined
    ? step(ast)
    : copy(ast, {
      // One more than none: the list that is taken apart was not empty.
      encoding: [
        ...ast.encoding.slice(0, -1),
        new SchemaAST.Link(walk(last.to), last.transformation)
      ] as unknown as SchemaAST.Encoding
    })
  known.set(ast, walked)
  return walked
}

/** The codec between the values of a schema and BSON values with native numbers. Needs no services: nor may the schema. */
export const make = <A>(schema: Schema.Constraint & { readonly Type: A }): Schema.Codec<A, unknown> =>
  Schema.make<Schema.Codec<A, unknown>>(walk(schema.ast))
