import type { FilterPreview } from "@sluice/wire";
import { expect, test } from "vitest";
import { runOn, samplePipelineFile, WRITTEN } from "./program-run.sample.ts";

const pattern = { list: "include" as const, matched: 1, decided: 1, names: ["order:1", "a\u001b[31m"], hint: null };
const preview: FilterPreview = {
  name: "orders",
  sample: { keys: 1_000, servers: 3, isWhole: false, isCutShort: false },
  groups: [
    {
      group: "main",
      databases: [
        { db: 0, target: 0, keys: 120_000, sampled: 1_000, taken: 505, share: 0.505, estimatedKeys: 60_600 },
        { db: 3, target: null, keys: 7, sampled: 0, taken: 0, share: null, estimatedKeys: 0 },
      ],
      estimatedKeys: 60_600,
      patterns: [
        { ...pattern, pattern: "order:*", matched: 520, decided: 505 },
        { ...pattern, pattern: "ordr:*", matched: 0, decided: 0, names: [], hint: 'did you mean "order:*"?' },
        { ...pattern, list: "exclude", pattern: "*:tmp", matched: 15, decided: 15, names: ["order:2:tmp"] },
      ],
      unmatched: { count: 480, names: ["user:1"] },
      own: 0,
      excludedCommands: ["FLUSHALL"],
    },
    {
      group: "all",
      databases: [],
      estimatedKeys: 0,
      patterns: [],
      unmatched: { count: 0, names: [] },
      own: 2,
      excludedCommands: [],
    },
  ],
  names: [],
};

// Mutations seen to fail it: filter-preview-text.ts, names as they came; filter-command.ts, the request without `sample`.
test("filter: a table of databases and one of patterns for each group, names made harmless; secrets are not shown", async () => {
  await using file = await samplePipelineFile();
  const run = await runOn(() => [200, preview], "filter", file.path, "--sample", "1000");
  expect(run).toMatchObject({ code: 0, asked: ["POST /api/v1/filters/preview"], complained: "" });
  expect(run.requests[0]?.body).toEqual({ pipeline: WRITTEN, sample: 1_000 });
  expect(run.printed).toMatchInlineSnapshot(`
    "orders: a sample of 1 000 keys of 3 servers of the source; numbers with ~ are estimates

    GROUP main: gets ~60 600 of 120 007 keys
    DATABASE  BECOMES        KEYS  LOOKED AT  TAKEN  SHARE     GETS
    0         0           120 000      1 000    505   51 %  ~60 600
    3         not copied        7                                 0
              PATTERN     DECIDES  MATCHES  SUCH AS
    taken     order:*         505      520  order:1  a\\x1b[31m
    taken     ordr:*            0        0
    left out  *:tmp            15       15  order:2:tmp
    left out  no pattern      480           user:1
    ! include ordr:* matches no key that was looked at: did you mean "order:*"?
    commands left out of changes: FLUSHALL

    GROUP all: gets ~0 of 0 keys
    no patterns: every key of these databases
    2 keys of the sample are Sluice's own and go nowhere
    "
  `);
  expect(run.printed).not.toContain("hunter2");
  const asJson = await runOn(() => [200, preview], "filter", file.path, "--json");
  expect(JSON.parse(asJson.printed)).toEqual(preview);
});

test("filter --key: a line for each name and group; with --sample it is called wrongly, and what is refused is 1", async () => {
  await using file = await samplePipelineFile();
  const groups = [
    { group: "main", isTaken: true, list: "include", pattern: "order:*" },
    { group: "all", isTaken: true, list: null, pattern: null },
    { group: "none", isTaken: false, list: null, pattern: null },
  ];
  const names = { name: "orders", sample: null, groups: [], names: [{ name: "order:1", groups }] };
  const run = await runOn(() => [200, names], "filter", file.path, "--key", "order:1", "--key", "b");
  expect(run.code).toBe(0);
  expect(run.requests[0]?.body).toEqual({ pipeline: WRITTEN, keys: ["order:1", "b"] });
  expect(run.printed).toMatchInlineSnapshot(`
    "KEY      GROUP            BY
    order:1  main   taken     include order:*
    order:1  all    taken     every key is
    order:1  none   left out  no pattern matches
    "
  `);
  expect((await runOn(() => [200, names], "filter", file.path, "--key", "a", "--sample", "9")).code).toBe(2);
  expect((await runOn(() => [200, names], "filter", file.path, "--sample", "0")).code).toBe(2);
  const refusal = { error: { code: "SRC-001", message: "away", remedy: "Start it." } };
  const refused = await runOn(() => [422, refusal], "filter", file.path);
  expect(refused).toMatchObject({ code: 1, complained: expect.stringContaining("SRC-001: away") as string });
});

test("what was looked at whole is no estimate", async () => {
  await using file = await samplePipelineFile();
  const whole = { ...preview, sample: { keys: 1_000, servers: 1, isWhole: true, isCutShort: false } };
  const { printed } = await runOn(() => [200, whole], "filter", file.path);
  expect(printed).toContain("orders: all 1 000 keys of the source were looked at");
  expect(printed).toContain("GROUP main: gets 60 600 of 120 007 keys");
  expect(printed).toContain("2 keys of the sample are Sluice's own and go nowhere");
});
