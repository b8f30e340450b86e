import { fileURLToPath } from "node:url"
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config"
import { examples, testFiles } from "./.scripts/examples-plugin.ts"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const unit = (name: string): TestProjectInlineConfiguration => ({
  resolve: { conditions: ["effect-realm-source"] },
  ssr: { resolve: { conditions: ["effect-realm-source"] } },
  test: {
    name,
    root: at(`packages/${name}`),
    include: ["test/**/*.test.ts"],
    setupFiles: [at("vitest.setup.ts")],
    sequence: { concurrent: true },
    // Tests start servers, threads and processes; on a machine with little to spare each takes its time.
    testTimeout: 60_000,
    hookTimeout: 60_000
  }
})

/** The checks of the repository itself: its architecture, and the scripts that read its documentation. */
const workspace: TestProjectInlineConfiguration = {
  test: { name: "workspace", root: at(".scripts"), include: ["*.test.ts"], setupFiles: [at("vitest.setup.ts")] }
}

/** The programs in doc comments and Markdown pages, run against `dist` as a user's program would be. */
const documentation: TestProjectInlineConfiguration = {
  plugins: [examples()],
  test: {
    name: "documentation",
    root: at("."),
    include: testFiles(),
    testTimeout: 30_000,
    // A test file's content is the plugin's, not the disk's, so a copy on disk must not stand in for it.
    fsModuleCache: false,
    server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } }
  }
}

export default defineConfig({
  test: {
    projects: [
      ...["protocol", "client", "server", "stores", "testing", "examples", "bench"].map(unit),
      workspace,
      documentation
    ]
  }
})
