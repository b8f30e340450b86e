/**
 * The modules of Node.js that functions may require. Native extensions, process-wide settings and the worker's own command
 * line are nothing for functions, and neither is what works in the threads of libuv: the server hashes passwords and looks
 * up names there, and what has been begun there goes on when the function and its worker are long gone. It is done in
 * the worker instead, where it ends with it.
 */
import * as assert from "node:assert"
import * as buffer from "node:buffer"
import * as crypto from "node:crypto"
import * as events from "node:events"
import * as path from "node:path"
import * as querystring from "node:querystring"
import * as stream from "node:stream"
import * as stringDecoder from "node:string_decoder"
import * as url from "node:url"
import * as util from "node:util"
import * as zlib from "node:zlib"
import type * as Source from "./functionSource.ts"

type Callable = (...args: ReadonlyArray<unknown>) => unknown

const isCallable = (value: unknown): value is Callable => typeof value === "function"

const without = (exports: object, ...names: ReadonlyArray<string>): { readonly [name: string]: unknown } =>
  Object.fromEntries(Object.entries(exports).filter(([name]) => name !== "default" && !names.includes(name)))

/** A function that hands its result to its last argument, a moment later, and answers it where there is none such. */
const later = (work: Callable): Callable => {
  const begin = (...args: ReadonlyArray<unknown>): unknown => {
    const callback = args.at(-1)
    if (!isCallable(callback)) return work(...args)
    const result = work(...args.slice(0, -1))
    // Of the functions with a callback only one answers more than one value.
    const isPair = typeof result === "object" && result !== null && "publicKey" in result && "privateKey" in result
    setImmediate(() => {
      if (isPair) callback(null, result.publicKey, result.privateKey)
      else callback(null, result)
    })
    return undefined
  }
  return Object.assign(begin, { [util.promisify.custom]: async (...args: ReadonlyArray<unknown>) => work(...args) })
}

/** With what is done at once in place of what is done in another thread. */
const inThread = (exports: { readonly [name: string]: unknown }, ...others: ReadonlyArray<string>) =>
  Object.fromEntries(
    Object.entries(exports).map(([name, value]) => {
      const work = exports[`${name}Sync`] ?? (others.includes(name) ? value : undefined)
      return [name, isCallable(work) ? later(work) : value]
    })
  )

/** A stream that does its work when it has got everything. */
const whole = (work: Callable) => (options: unknown): stream.Transform => {
  const chunks: Array<Buffer> = []
  return new stream.Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
    flush: (done) => {
      try {
        done(null, work(Buffer.concat(chunks), options))
      } catch (error) {
        // It throws nothing else.
        done(error as Error)
      }
    }
  })
}

const compression = () => {
  const own = inThread(without(zlib))
  return Object.fromEntries(
    Object.entries(own).flatMap(([name, value]) => {
      // The classes of the streams.
      if (isCallable(value) && /^[A-Z]/.test(name)) return []
      const [, first, rest] = /^create(.)(.*)$/.exec(name) ?? []
      const work = first === undefined ? undefined : own[`${first.toLowerCase()}${rest}Sync`]
      return [[name, isCallable(work) ? whole(work) : value]]
    })
  )
}

// That of Node.js writes into the function it answers where there is one already, and those that are lent are frozen.
const promisify = Object.assign((original: unknown): unknown => {
  const own: unknown = isCallable(original) ? Reflect.get(original, util.promisify.custom) : undefined
  // Whatever else is no function it refuses in its own words.
  return isCallable(own) && Object.isFrozen(own) ? own : util.promisify(original as (...args: Array<never>) => void)
}, { custom: util.promisify.custom })

/** By name. That of timers is each call's own. */
export const modules: { readonly [name in Exclude<typeof Source.modules[number], "timers">]: unknown } = {
  assert: assert.default,
  buffer: without(buffer),
  crypto: inThread(
    without(crypto, "setEngine", "setFips", "fips", "subtle", "webcrypto"),
    "decapsulate",
    "diffieHellman",
    "encapsulate",
    "randomBytes",
    "randomInt",
    "sign",
    "verify"
  ),
  events: events.default,
  path: without(path),
  querystring: without(querystring),
  stream: stream.default,
  string_decoder: without(stringDecoder),
  url: without(url),
  util: {
    ...without(util, "debug", "debuglog", "deprecate", "getCallSites", "parseArgs", "setTraceSigInt"),
    promisify
  },
  zlib: compression()
}
