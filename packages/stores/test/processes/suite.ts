/** What holds among real processes that share a place, some of which are killed. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type * as Place from "./place.ts"
import * as Pool from "./pool.ts"
import * as Server from "./server.ts"

export const suite = (name: string, place: () => Promise<Place.Place>): void => {
  // One after the other: each wants the processors for itself.
  describe(`Processes that share ${name}`, { concurrent: false }, () => {
    let server: Server.Server
    let where: Place.Place
    let workers: Array<Pool.Worker>

    const start = (skew = 0) => Pool.start({ place: where, baseUrl: server.baseUrl, skew })

    beforeAll(async () => {
      server = await Server.make()
      where = await place()
      // Two of them are two hours fast and slow.
      workers = await Promise.all([0, 7_200_000, -7_200_000, 0, 0, 0, 0, 0].map(start))
    })
    afterAll(async () => {
      await Promise.all(workers.map((worker) => worker.kill()))
      server.close()
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
        server.delay = 50
        const begun = server.nextExchange()
        const calls = workers.slice(0, 4).map((worker) => worker.ask({ _tag: "Call", userId, times: 5 }))
        await begun
        assert.strictEqual(await workers[7]!.ask({ _tag: "LogOut", userId }), "ok")
        for (const worker of workers) assert.strictEqual(await worker.ask({ _tag: "Look", userId }), "out")
        const answers = (await Promise.all(calls)).flat()
        assert.notInclude(answers, "ok")
        for (const worker of workers) {
          assert.strictEqual(await worker.ask({ _tag: "Look", userId }), "out")
          assert.deepStrictEqual(await worker.ask({ _tag: "Call", userId, times: 1 }), ["LoggedOut"])
        }
      }
      server.delay = 5
    })

    it("go on when those that exchange are killed at any moment, within the life of a lease, and nobody is logged out", async () => {
      const victims = await Promise.all([start(), start(), start()])
      const userIds = await Promise.all(Array.from({ length: 24 }, logIn))
      server.expire()
      server.delay = 40
      const kills = victims.map(async (victim, number) => {
        const own = userIds.filter((_, index) => index % victims.length === number)
        const begun = server.nextExchange()
        for (const userId of own) void victim.ask({ _tag: "Call", userId, times: 2 })
        await begun
        await new Promise((resolve) => setTimeout(resolve, 60 * Math.random()))
        await victim.kill()
      })
      await Promise.all(kills)
      server.delay = 5
      const answers = await Promise.all(
        workers.slice(0, 3).flatMap((worker) => userIds.map((userId) => worker.ask({ _tag: "Call", userId, times: 2 })))
      )
      assert.deepStrictEqual(new Set(answers.flat()), new Set(["ok"]))
      for (const userId of userIds) {
        const looks = await Promise.all(workers.map((worker) => worker.ask({ _tag: "Look", userId })))
        assert.strictEqual(new Set(looks).size, 1)
        assert.match(String(looks[0]), /^in /)
      }
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
