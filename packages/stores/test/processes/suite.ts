/** What holds among real processes that share a place, some of which are killed. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type * as Place from "./place.ts"
import * as Pool from "./pool.ts"
import * as Server from "./server.ts"

// Starting a process is dear, so each that is killed holds the leases of some users: 100 in all.
const victims = 20
const holdings = 5

export const suite = (name: string, place: () => Promise<Place.Place>): void => {
  // One after the other: each wants the processors for itself.
  describe(`Processes that share ${name}`, { concurrent: false }, () => {
    let server: Server.Server
    let where: Place.Place
    let program: Pool.Program
    let workers: Array<Pool.Worker>

    const start = (skew: number, more?: { readonly lease: number }) =>
      Pool.start(program, { place: where, baseUrl: server.baseUrl, skew, ...more })

    beforeAll(async () => {
      ;[server, where, program] = await Promise.all([Server.make(), place(), Pool.build()])
      const first = await start(0)
      // Two of them are two hours fast and slow.
      workers = [first, ...await Promise.all([7_200_000, -7_200_000, 0, 0, 0, 0, 0].map((skew) => start(skew)))]
    })
    afterAll(async () => {
      await Promise.all(workers.map((worker) => worker.kill()))
      server.close()
      program.remove()
    })

    const logIn = () => workers[0]!.ask({ _tag: "LogIn" }).then(String)

    it("exchange an expired token once, 8 processes with 50 calls each, two of them with a wrong clock", async () => {
      const userId = await logIn()
      for (let round = 0; round < 3; round++) {
        server.expire()
        const answers = await Promise.all(
          workers.map((worker) => worker.ask({ _tag: "Call", userId, times: 50 }))
        )
        assert.deepStrictEqual(new Set(answers.flat()), new Set(["ok"]))
        assert.strictEqual(server.exchanges(), 1)
      }
    })

    it("are all logged out by one of them, also while another exchanges the token", async () => {
      for (let round = 0; round < 5; round++) {
        const userId = await logIn()
        server.expire()
        const exchange = server.holdNextExchange()
        const calls = workers.slice(0, 4).map((worker) => worker.ask({ _tag: "Call", userId, times: 5 }))
        await exchange.begun
        assert.strictEqual(await workers[7]!.ask({ _tag: "LogOut", userId }), "ok")
        for (const worker of workers) assert.strictEqual(await worker.ask({ _tag: "Look", userId }), "out")
        exchange.letGo()
        const answers = (await Promise.all(calls)).flat()
        assert.notInclude(answers, "ok")
        for (const worker of workers) {
          assert.strictEqual(await worker.ask({ _tag: "Look", userId }), "out")
          assert.deepStrictEqual(await worker.ask({ _tag: "Call", userId, times: 1 }), ["LoggedOut"])
        }
      }
    })

    it("go on when 100 holders of a lease are killed at any moment, and keep the refresh token that won", async () => {
      // A tenth of what it is, so that nobody waits for the dead for long.
      const lease = 1000
      const heirs = await Promise.all([start(0, { lease }), start(0, { lease })])
      const userIds = Array.from({ length: victims * holdings }, (_, index) => index.toString(16).padStart(24, "f"))
      await Promise.all(userIds.map((userId, index) => heirs[index % 2]!.ask({ _tag: "LogInAs", userId })))
      server.expire()
      server.delay = 40

      const afterwards: Array<Promise<unknown>> = []
      const killOne = async (held: ReadonlyArray<string>) => {
        const victim = await start(0, { lease })
        const begun = held.map((userId) => server.nextExchange(userId))
        for (const userId of held) void victim.ask({ _tag: "Call", userId, times: 3 })
        await Promise.all(begun)
        // Before the answers, while they are written down, or a little later.
        await new Promise((resolve) => setTimeout(resolve, 1.5 * server.delay * Math.random()))
        // One of them logs in anew at that moment: what the exchange brings must not replace it.
        afterwards.push(heirs[0]!.ask({ _tag: "LogInAs", userId: held[0]! }))
        await victim.kill()
        for (const userId of held) {
          for (const heir of heirs) afterwards.push(heir.ask({ _tag: "Call", userId, times: 2 }))
        }
      }
      const left = Array.from(
        { length: victims },
        (_, index) => userIds.slice(index * holdings, (index + 1) * holdings)
      )
      const oneAfterTheOther = async () => {
        for (let held = left.pop(); held !== undefined; held = left.pop()) await killOne(held)
      }
      await Promise.all([oneAfterTheOther(), oneAfterTheOther()])

      for (const answer of await Promise.all(afterwards)) {
        if (Array.isArray(answer)) assert.deepStrictEqual(answer, ["ok", "ok"])
        else assert.include(userIds, answer)
      }
      server.delay = 5
      await Promise.all(userIds.map(async (userId) => {
        const looks = await Promise.all([...heirs, ...workers].map((worker) => worker.ask({ _tag: "Look", userId })))
        assert.strictEqual(new Set(looks).size, 1)
        assert.strictEqual(String(looks[0]).split(" ")[2], server.refreshTokenOf(userId))
      }))
      await Promise.all(heirs.map((heir) => heir.kill()))
    })

    it("are told of every change, each once and in order", async () => {
      const userId = await logIn()
      await workers[3]!.ask({ _tag: "LogOut", userId })
      const look = await workers[3]!.ask({ _tag: "Call", userId, times: 1 })
      assert.deepStrictEqual(look, ["LoggedOut"])
      const number = await workers[3]!.ask({ _tag: "Generation", userId })
      const all = await Promise.all(workers.map(async (worker) => {
        const isWhole = (events: ReadonlyArray<string>) => events.at(-1)?.startsWith(`${number} `) === true
        let events = await told(worker)
        while (!isWhole(events)) events = await told(worker)
        return events
      }))
      const last = (events: ReadonlyArray<string>) => events.filter((event) => event !== "Snapshot")
      const longest = all.map(last).reduce((one, other) => one.length >= other.length ? one : other)
      for (const events of all) {
        const numbers = last(events).map((event) => Number.parseInt(event))
        assert.deepStrictEqual(numbers, [...new Set(numbers)].toSorted((a, b) => a - b))
        // Each began to listen a little later than the first one.
        assert.deepStrictEqual(last(events), longest.slice(longest.length - last(events).length))
      }
    })
  })
}

const told = async (worker: Pool.Worker): Promise<ReadonlyArray<string>> => {
  const answer = await worker.ask({ _tag: "Told" })
  return Array.isArray(answer) ? answer.map(String) : []
}
