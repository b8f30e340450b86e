import { fileURLToPath } from "node:url"
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const unit = (name: string): TestProjectInlineConfiguration => ({
  resolve: { conditions: ["effect-realm-source"] },
  ssr: { resolve: { conditions: ["effect-realm-source"] } },
  test: {
    name,
    root: at(`packages/${name}`),
    include: ["test/**/*.test.ts"],
    setupFiles: [at("vitest.setup.ts")],
    sequence: { concurrent: true }
  }
})

export default defineConfig({
  test: { projects: ["protocol", "client", "server", "testing", "examples"].map(unit) }
})
