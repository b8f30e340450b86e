/**
 * The page in `docs/`: a section for each part of the bench, which stays as it is until that part is measured anew.
 */

const introduction = `# Bench

Each section is a part of the bench, written when that part is through: \`npm run bench\` measures all of them,
\`npm run bench -- stores\` the one of that name.

Everybody in a row is measured in the same rounds, in turn, so read the ratios: the figures belong to the machine. Each
figure is the median of its rounds with the lowest and the highest; each ratio is that of the figures of one round. Clients
are measured against one plain \`node:http\` server in a process of its own, the server by a client in another process.
A kilobyte is 1,000 bytes; bundles are minified by esbuild and compressed by \`gzip -9\`.
`

const heading = (part: string): string => `## ${part}\n\n`

/** The section of a part, if the page has one. */
const sectionOf = (page: string, part: string): string | undefined => {
  const [, after] = page.split(`\n${heading(part)}`)
  return after?.split("\n## ")[0]
}

/**
 * The page with another section of one part.
 *
 * @param parts all parts, in the order of the page
 */
export const renewed = (page: string, part: string, section: string, parts: ReadonlyArray<string>): string => {
  const sections = parts.flatMap((one) => {
    const text = one === part ? section : sectionOf(page, one)
    return text === undefined ? [] : [`${heading(one)}${text.trimEnd()}\n`]
  })
  return [introduction, ...sections].join("\n")
}
