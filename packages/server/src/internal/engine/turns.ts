/**
 * Tasks that are done later, some in each turn of the event loop: many of them keep no other work waiting.
 */
const tasksInTurn = 20

export class Turns {
  #tasks: Array<() => void> = []
  #isScheduled = false

  add(tasks: Iterable<() => void>): void {
    for (const task of tasks) this.#tasks.push(task)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#tasks.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      for (const task of this.#tasks.splice(0, tasksInTurn)) task()
      this.#isScheduled = false
      this.#schedule()
    })
  }
}
