import { defineConfig } from "vitest/config";

const conditions = ["@sluice/source", "node"];
const homes = ["libs/*/src", "services/*/src", "apps/*/src", "test/simulate"];
/** Files share what they import: that takes longer than many of them do. No spy outlives its test. */
const shared = { isolate: false, restoreMocks: true };
const realServers = { ...shared, testTimeout: 180_000, hookTimeout: 180_000, maxWorkers: 4, sequence: { groupOrder: 1 } };

/**
 * A kind of test is its file name: `x.test.ts` is pure, `x.redis.test.ts` and `x.nats.test.ts` run against real servers,
 * `test/e2e/x.e2e.test.ts` against our own processes, compiled first. Groups run one after the other; tests with servers wait more than they
 * work, so more of their files run at a time than there are cores. The simulated worlds come last, since they keep every core busy.
 */
export default defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    reporters: ["default", "./tools/count-reporter.ts"],
    projects: [
      {
        extends: true,
        test: {
          ...shared,
          name: "unit",
          include: [...homes.map((home) => `${home}/**/*.test.ts`), "test/*.test.ts"],
          exclude: ["**/*.redis.test.ts", "**/*.nats.test.ts", "**/node_modules/**"],
          testTimeout: 120_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { ...realServers, name: "redis", include: homes.map((home) => `${home}/**/*.redis.test.ts`) },
      },
      {
        extends: true,
        test: { ...realServers, name: "nats", include: homes.map((home) => `${home}/**/*.nats.test.ts`) },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.e2e.test.ts"],
          globalSetup: "./test/e2e/compiled-programs.ts",
          testTimeout: 600_000,
          hookTimeout: 180_000,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: "worlds",
          include: ["test/simulate/**/*.worlds.ts"],
          testTimeout: 600_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
