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

// Nothing ends a call into native code before it is done, not even the end of the process, and what it takes of memory stands
// in no account. So it gets no more to do than some seconds' work, and no more than some of a worker's memory.
const within = (name: string, value: unknown, most: number): void => {
  // What is no number at all Node.js refuses.
  if (typeof value === "number" && value > most) throw new RangeError(`"${name}" can be at most ${most} in a function`)
}

/** As they are now: what is looked at must be what is used. */
const fixed = (options: unknown): { readonly [name: string]: unknown } =>
  typeof options === "object" && options !== null ? { ...options } : {}

/** Of an argument that may be left out. */
const withinOptions = (options: unknown, most: { readonly [name: string]: number }): unknown => {
  if (typeof options !== "object" || options === null) return options
  const own = fixed(options)
  for (const [name, limit] of Object.entries(most)) within(name, own[name], limit)
  return own
}

const lengthOf = (bytes: unknown): number =>
  ArrayBuffer.isView(bytes) || bytes instanceof ArrayBuffer ? bytes.byteLength : 0

const mebibyte = 2 ** 20

/** The same arguments, if they ask for no more than a function may. */
type Bound = (...args: ReadonlyArray<unknown>) => ReadonlyArray<unknown>

const bounds: { readonly [name: string]: Bound } = {
  argon2Sync: (algorithm, parameters) => [
    algorithm,
    withinOptions(parameters, { memory: 256 * 1024, parallelism: 16, passes: 64 })
  ],
  checkPrimeSync: (candidate, options) => {
    within(
      "candidate.length",
      typeof candidate === "bigint" ? candidate.toString(16).length / 2 : lengthOf(candidate),
      1024
    )
    return [candidate, withinOptions(options, { checks: 64 })]
  },
  generateKeyPairSync: (type, options) => {
    if (type === "dh") throw new RangeError("there are no keys of the type \"dh\" in a function: use \"x25519\"")
    return [type, withinOptions(options, { modulusLength: 4096 })]
  },
  generatePrimeSync: (size, options) => {
    within("size", size, 2048)
    return [size, options]
  },
  pbkdf2Sync: (password, salt, iterations, length, digest) => {
    within("iterations", iterations, 10_000_000)
    within("keylen", length, 1024)
    return [password, salt, iterations, length, digest]
  },
  scryptSync: (password, salt, length, options) => [
    password,
    salt,
    length,
    withinOptions(options, { maxmem: 256 * mebibyte, p: 16, parallelization: 16 })
  ]
}

const compressionBound: Bound = (input, options) => [input, withinOptions(options, { chunkSize: mebibyte })]

const withBounds = (
  exports: { readonly [name: string]: unknown },
  boundOf: (name: string) => Bound | undefined
): { readonly [name: string]: unknown } =>
  Object.fromEntries(
    Object.entries(exports).map(([name, value]) => {
      const bound = boundOf(name)
      return [
        name,
        bound === undefined || !isCallable(value)
          ? value
          : (...args: ReadonlyArray<unknown>) => value(...bound(...args))
      ]
    })
  )

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
  const own = inThread(withBounds(without(zlib), (name) => name.endsWith("Sync") ? compressionBound : undefined))
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
    withBounds(
      without(
        crypto,
        "createDiffieHellman",
        "createDiffieHellmanGroup",
        "DiffieHellman",
        "DiffieHellmanGroup",
        "fips",
        "getDiffieHellman",
        "setEngine",
        "setFips",
        "subtle",
        "webcrypto"
      ),
      (name) => bounds[name]
    ),
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
