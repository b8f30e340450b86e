/** What `@effect/vitest` needs of vitest, in a page: tests are kept by their names, for the test outside to run. */
export { assert } from "chai"

interface Context {
  readonly signal: AbortSignal
  readonly onTestFinished: () => void
}
type Test = (context: Context) => unknown

const path: Array<string> = []
const tests = new Map<string, Test>()

const register = (name: string, _options: unknown, test: Test): void => {
  tests.set([...path, name].join(": "), test)
}

const unsupported = (): never => {
  throw new Error("There is no such thing in a page")
}

export const it = Object.assign(register, {
  skip: unsupported,
  skipIf: () => unsupported,
  runIf: () => unsupported,
  only: unsupported,
  fails: unsupported,
  for: unsupported
})

export const describe = (name: string, body: () => void): void => {
  path.push(name)
  body()
  path.pop()
}

export const TestRunner = { getCurrentSuite: unsupported }
export const expect = unsupported
export const beforeAll = unsupported
export const beforeEach = unsupported
export const afterAll = unsupported

/** What a page of tests offers. */
export interface Tests {
  readonly names: ReadonlyArray<string>
  /** Runs a test, and answers what is wrong. */
  readonly run: (name: string) => Promise<string | undefined>
}

export const registered = (): Tests => ({
  names: [...tests.keys()],
  run: async (name) => {
    try {
      await tests.get(name)!({ signal: new AbortController().signal, onTestFinished: () => {} })
      return undefined
    } catch (error) {
      return error instanceof Error ? error.stack ?? error.message : String(error)
    }
  }
})
