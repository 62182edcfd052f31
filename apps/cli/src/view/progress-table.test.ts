import { expect, test } from "vitest";
import { sampleFeed, sampleGroup, samplePipeline } from "./pipeline-status.sample.ts";
import { progressTable, rateLines } from "./progress-table.ts";

const copying = sampleFeed({
  shard: "s1",
  keys: 400,
  isCopied: false,
  unitsPerSecond: null,
  lagBytes: null,
  lagSeconds: null,
  etaSeconds: 12,
});

test("a line for each group, and for each shard where there are several", () => {
  const groups = [sampleGroup({ shards: [sampleFeed(), copying] }), sampleGroup({ group: "far", etaSeconds: null })];
  expect(progressTable(samplePipeline({ groups }))).toMatchInlineSnapshot(`
    "GROUP  COPIED        KEYS/S  UNITS/S  BYTES/S    LAG         DONE IN
    main   all 1 000          0    1 200    34 kB  200 B  0.3 s
      s0   all 1 000          0    1 200    34 kB  200 B  0.3 s
      s1   400 of 1 000       0        ?    34 kB      ?            12 s
    far    all 1 000          0    1 200    34 kB  200 B  0.3 s        ?"
  `);
  expect(rateLines(groups)).toMatchInlineSnapshot(`
    [
      "  main.s0  1 200 units/s · 34 kB/s · lag 200 B, 0.3 s",
      "  main.s1  copied 400 of 1 000 · 0 keys/s · 34 kB/s · done in 12 s",
      "  far.s0   1 200 units/s · 34 kB/s · lag 200 B, 0.3 s",
    ]
  `);
});

test("of many those are shown that are furthest behind; one alone is what the line above them says", () => {
  const shards = Array.from({ length: 20 }, (_, at) => sampleFeed({ shard: `s${at}`, lagSeconds: at }));
  const lines = rateLines([sampleGroup({ shards: [...shards, copying] })]);
  expect(lines).toHaveLength(12);
  expect(lines[0]).toContain("main.s1   copied 400 of 1 000");
  expect(lines[1]).toContain("main.s19");
  expect(lines.at(-1)).toBe("  and 10 more that are closer");
  expect(rateLines([sampleGroup()])).toEqual([]);
});
