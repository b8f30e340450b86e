/** Writes `docs/api`, or checks it with `--check`. */
import * as ApiReference from "./ApiReference.ts"
import * as Generated from "./Generated.ts"

const pages = [...ApiReference.pages(ApiReference.modules())].map(([path, text]): [string, string] => [
  `docs/api/${path}`,
  text
])
Generated.writeOrCheck(new Map(pages), "docs/api/**/*.md")
