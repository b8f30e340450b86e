/**
 * SQLite's log of a file: what is written goes there first, and is moved into the file when the log has become long.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"

/**
 * From how many bytes on the log is long. It is no setting: with few, for tests, it is moved often. What moves it is a thread, which
 * costs some 50 ms of another processor.
 */
export const LongLog: Context.Reference<number> = Context.Reference(
  "@effect-realm/server/internal/engine/LongLog",
  { defaultValue: () => 16 * 1024 * 1024 }
)

export class WriteAheadLog {
  readonly #descriptor: number
  readonly #long: number
  /** It is long, when it is as long as this. */
  #due: number
  #wake: (() => void) | undefined

  /**
   * @param filename of the database, which is open
   * @param long in bytes
   */
  constructor(filename: string, long: number) {
    this.#descriptor = fs.openSync(`${filename}-wal`, "r")
    this.#long = this.#due = long
  }

  get #length(): number {
    return fs.fstatSync(this.#descriptor).size
  }

  /** Waits until it is long; for one at a time. */
  readonly isLong: Effect.Effect<void> = Effect.callback((resume) => {
    this.#wake = () => resume(Effect.void)
    this.look()
    return Effect.sync(() => {
      this.#wake = undefined
    })
  })

  /** Something was written. */
  look(): void {
    const wake = this.#wake
    if (wake === undefined || this.#length < this.#due) return
    this.#wake = undefined
    wake()
  }

  /** What could be moved was moved: it is long when as much as that has been added to what is left. */
  leave(): void {
    this.#due = this.#length + this.#long
  }

  close(): void {
    fs.closeSync(this.#descriptor)
  }
}
