/** Keeps the numbers of a run of the type tests for the summary. */
import type { ReporterEvent } from "tstyche/api"
import * as Counts from "./Counts.ts"

/** A reporter as `.tstyche.json` names it. */
export default class CountsReporter {
  on([event, payload]: ReporterEvent): void {
    if (event !== "run:end") return
    const { failed, passed, skipped, todo } = payload.result.testCounts
    Counts.write("tstyche", { passed, failed, skipped: skipped + todo })
  }
}
