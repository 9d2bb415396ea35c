/** `unit` runs on virtual time and in memory; `integration` runs real processes and has its own script. */
import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/integration/**"],
          // Ends tests that hang. It is far longer than any test, because none may depend on the speed of the machine.
          testTimeout: 300_000,
          hookTimeout: 300_000
        }
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
          // Each file starts a cluster of processes. One at a time, so that they do not compete for the processor.
          fileParallelism: false,
          // Ends what hangs, as above: later than `eventually` in Cluster.ts, which says what it waited for.
          testTimeout: 3_600_000,
          hookTimeout: 1_800_000
        }
      }
    ],
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text-summary", "json-summary"],
      thresholds: { statements: 90 }
    }
  }
})
