/** Which file is under a path: one that was deleted or replaced is another one, also to those who have it open. */
import { statSync } from "node:fs"

/** Tells the file from every other one; `undefined` when there is none. */
export const of = (path: string): string | undefined => {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev} ${ino}`
  } catch {
    return undefined
  }
}
