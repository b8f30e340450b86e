import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { scrypt } from "node:crypto"
import { createSocket, type Socket } from "node:dgram"
import type { LookupOptions } from "node:dns"
import { Resolver } from "node:dns/promises"
import { promisify } from "node:util"
import * as GuardedHttpClient from "../src/internal/functions/guardedHttpClient.ts"

const hosts: { readonly [name: string]: { readonly [type: number]: ReadonlyArray<ReadonlyArray<number>> } } = {
  "both.test": { 1: [[10, 0, 0, 1], [93, 184, 215, 14]], 28: [[0x26, 0x06, ...Array<number>(13).fill(0), 1]] },
  "private.test": {
    1: [[127, 0, 0, 1], [169, 254, 169, 254]],
    28: [[...Array<number>(10).fill(0), 255, 255, 127, 0, 0, 1]]
  }
}

/** The answer to a question, or nothing, for a name that its server keeps silent about. */
const answer = (question: Buffer): Buffer | undefined => {
  const labels: Array<string> = []
  let at = 12
  for (let length = question[at]!; length > 0; length = question[at]!) {
    labels.push(question.toString("latin1", at + 1, at + 1 + length))
    at += length + 1
  }
  const name = labels.join(".").toLowerCase()
  if (name === "silent.test") return undefined
  const found = hosts[name]
  const type = question.readUInt16BE(at + 1)
  const addresses = found?.[type] ?? []
  const head = Buffer.from(question.subarray(0, 12))
  head.writeUInt16BE(found === undefined ? 0x8183 : 0x8180, 2)
  head.writeUInt16BE(addresses.length, 6)
  head.writeUInt32BE(0, 8)
  const records = addresses.map((address) =>
    Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, address.length, ...address])
  )
  return Buffer.concat([head, question.subarray(12, at + 5), ...records])
}

/** A server of names, and a resolver that asks it. */
const resolver = Effect.acquireRelease(
  Effect.callback<Socket>((resume) => {
    const socket = createSocket("udp4")
    socket.on("message", (question, { address, port }) => {
      const told = answer(question)
      if (told !== undefined) socket.send(told, port, address)
    })
    socket.bind(0, "127.0.0.1", () => resume(Effect.succeed(socket)))
  }),
  (socket) => Effect.sync(() => socket.close())
).pipe(Effect.map((socket) => {
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  return resolver
}))

const lookUp = (resolver: Resolver, name: string, options: LookupOptions = { all: true }) =>
  Effect.callback<unknown>((resume) => {
    GuardedHttpClient.publicLookup(() => resolver)(
      name,
      options,
      (error, found, family) =>
        resume(Effect.succeed(error === null ? family === undefined ? found : [found, family] : error.code))
    )
  })

it.effect("a name leads to its public addresses, and to no other", () =>
  Effect.gen(function*() {
    const own = yield* resolver
    const four = { address: "93.184.215.14", family: 4 }
    const six = { address: "2606::1", family: 6 }
    assert.deepStrictEqual(yield* lookUp(own, "both.test"), [four, six])
    assert.deepStrictEqual(yield* lookUp(own, "both.test", { all: true, family: 6 }), [six])
    assert.deepStrictEqual(yield* lookUp(own, "both.test", {}), ["93.184.215.14", 4])
    assert.strictEqual(yield* lookUp(own, "private.test"), "EPRIVATE")
    assert.strictEqual(yield* lookUp(own, "nowhere.test"), "ENOTFOUND")
  }))

it.effect("names that nobody answers for do not keep a password waiting", () =>
  Effect.gen(function*() {
    const own = yield* resolver
    let answered = 0
    const asked = Array.from({ length: 16 }, () =>
      Effect.tap(lookUp(own, "silent.test"), () => Effect.sync(() => answered++)))
    const waiting = yield* Effect.forkChild(Effect.all(asked, { concurrency: "unbounded" }), { startImmediately: true })
    yield* Effect.promise(() =>
      promisify(scrypt)("correct horse", "salt", 32)
    )
    assert.strictEqual(answered, 0)
    own.cancel()
    assert.deepStrictEqual(new Set(yield* Fiber.join(waiting)), new Set(["ECANCELLED"]))
  }))
