/**
 * What a caller is refused in one operation: it fails with the first refusal, but may go on for a while to find out what else
 * he would be refused.
 */
import type { Access } from "./documentSearch.ts"

export class Refusals {
  readonly #access: Access
  #first: { readonly error: unknown } | undefined

  constructor(access: Access) {
    this.#access = access
  }

  /** What `f` answers, but nothing any more once something was refused: neither is anything handed out then, nor changed. */
  attempt<A>(f: () => A): A | undefined {
    try {
      const answer = f()
      return this.#first === undefined ? answer : undefined
    } catch (error) {
      this.meet(error)
      return undefined
    }
  }

  /** Throws the first refusal, unless the operation goes on after this one. */
  meet(error: unknown): void {
    this.#first ??= { error }
    if (this.#access.goesOn?.(error) !== true) throw this.#first.error
  }

  /** Throws the first refusal, if there was one. */
  end(): void {
    if (this.#first !== undefined) throw this.#first.error
  }
}
