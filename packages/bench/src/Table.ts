/**
 * The table as Markdown: readable as text on a screen and as a page.
 */
import * as Row from "./Row.ts"

/** Where and when it was measured. */
export interface Circumstances {
  /** The day, as `2025-12-31`. */
  readonly date: string
  readonly processor: string
  readonly cores: number
  /** How many programs wanted a core when the bench began, on average over a minute. */
  readonly busy: number
  readonly node: string
  readonly effect: string
}

const number = (value: number): string =>
  value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2 })

const withSpread = (samples: ReadonlyArray<number>): string => {
  const { max, median, min } = Row.spread(samples)
  return min === max ? number(median) : `${number(median)} (${number(min)}–${number(max)})`
}

const bound = ({ _tag, bound }: Row.Aim): string => `${_tag === "AtLeast" ? "≥" : "≤"} ${number(bound)}`

const verdict = ({ met, reached }: Row.Verdict): string => met ? "yes" : `**falls short**: ${number(reached)}`

const header = ["measured", "who", "figure (lowest–highest)", "ours ÷ this one", "aim", "reached"]

const cells = (row: Row.Row): ReadonlyArray<ReadonlyArray<string>> => {
  const verdicts = Row.verdicts(row)
  return [row.ours, ...row.peers].map((subject, index) => {
    const isOurs = index === 0
    const judged = verdicts.find((verdict) => verdict.subject === subject)
    return [
      isOurs ? `${row.measured}${row.unit === "" ? "" : `, ${row.unit}`}` : "",
      isOurs ? `**${subject.name}**` : subject.name,
      withSpread(subject.samples),
      isOurs ? "" : withSpread(Row.ratios(row, subject)),
      judged === undefined ? "" : `${bound(judged.aim)}${isOurs ? "" : " ×"}`,
      judged === undefined ? "" : verdict(judged)
    ]
  })
}

/** The table alone. */
export const table = (rows: ReadonlyArray<Row.Row>): string => {
  const lines = [header, ...rows.flatMap(cells)]
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  return [line(header), rule, ...lines.slice(1).map(line)].join("\n")
}

const shortcomings = (rows: ReadonlyArray<Row.Row>): string => {
  const missed = rows.flatMap((row) =>
    Row.verdicts(row).filter(({ met }) => !met).map(({ aim, reached, subject }) => {
      const beside = subject === row.ours ? ` ${row.unit}`.trimEnd() : ` times ${subject.name}`
      return `- ${row.measured}: ${number(reached)} where ${bound(aim)}${beside} was aimed at.`
    })
  )
  return missed.length === 0 ? "Every aim is reached." : `These fall short of their aim:\n\n${missed.join("\n")}`
}

const quiet = ({ busy, cores }: Circumstances): string =>
  busy < cores / 4
    ? "The machine did nothing else."
    : `The machine was busy with other work (load ${
      number(busy)
    }), so the figures are lower and spread wider than they need to.`

/** One part of the bench: when and where it was measured, its table, and what falls short. */
export const section = (rows: ReadonlyArray<Row.Row>, at: Circumstances): string =>
  `Measured on ${at.date}, on ${at.cores} cores of ${at.processor}, with Node.js ${at.node} and Effect ${at.effect}.
${quiet(at)}

${table(rows)}

${shortcomings(rows)}
`
