/**
 * What the library costs a browser: the whole of it, bundled by esbuild, minified, compressed by `gzip -9`.
 */
import * as Effect from "effect/Effect"
import { build } from "esbuild"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import type * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const resolveDir = fileURLToPath(new URL(".", import.meta.url))

/** All of the client, with what a program needs beside it to send a request. */
const ours = `
  export * from "@effect-realm/client"
  export { layer } from "effect/http/FetchHttpClient"
  export { provide, runPromise } from "effect/Effect"
`

const realmWeb = `export * from "realm-web"`

/** Without the statements that import what was left out: a page's own bundle has none. */
const code = (text: string): string => text.replace(/\bimport\b[^;"]*"[^"]+";/g, "")

const kilobytes = (contents: string, external: ReadonlyArray<string>): Effect.Effect<number> =>
  Effect.promise(async () => {
    const { outputFiles } = await build({
      stdin: { contents, resolveDir },
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      platform: "browser",
      target: "es2022",
      define: { "process.env.NODE_ENV": "\"production\"" },
      external: [...external]
    })
    return gzipSync(code(outputFiles[0]!.text), { level: 9 }).length / 1000
  })

export const rows = Effect.fnUntraced(function*(_: Sizes): Effect.fn.Return<ReadonlyArray<Row.Row>> {
  const own = yield* kilobytes(ours, ["effect/*", "bson"])
  const ownOfRealmWeb = yield* kilobytes(realmWeb, ["@realm/common", "bson", "detect-browser", "js-base64"])
  const all = yield* kilobytes(ours, [])
  const allOfRealmWeb = yield* kilobytes(realmWeb, [])
  return [
    {
      measured: "bundle for a browser, own code",
      unit: "kB",
      ours: { name: "ours: client and protocol", samples: [own], aim: { _tag: "AtMost", bound: 15 } },
      peers: [{ name: "realm-web 2.0.1", samples: [ownOfRealmWeb] }]
    },
    {
      measured: "bundle for a browser, all in",
      unit: "kB",
      ours: { name: "ours, with Effect and bson", samples: [all], aim: { _tag: "AtMost", bound: 90 } },
      peers: [{ name: "realm-web 2.0.1, with bson", samples: [allOfRealmWeb] }]
    }
  ]
})
