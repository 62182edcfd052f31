import { expect, test } from "vitest";
import { failing, sampleReport, sampleResult } from "./precheck-report.sample.ts";
import { precheckTable } from "./precheck-table.ts";

test("a line for every check, and the details of those that warn or fail", () => {
  const small = sampleResult({ level: "warn", found: "1 MB" });
  const known = sampleResult({ id: "source-wait", level: "warn", found: "WAIT is used", waived: { at: 1, reason: "a job" } });
  expect(precheckTable("orders", sampleReport(sampleResult({ id: "source-version", found: "7.0.15" }), small, known, failing)))
    .toMatchInlineSnapshot(`
    "        CHECK              ENDPOINT              FOUND
    ok      source-version     source 10.0.0.1:7000  7.0.15
    warn    source-backlog     source 10.0.0.1:7000  1 MB
    waived  source-wait        source 10.0.0.1:7000  WAIT is used
    FAIL    destination-empty  destination main      12 keys\\x07

    warn source-backlog · source 10.0.0.1:7000 · the backlog bears an absence
      found     1 MB
      expected  64 MB or more
      why       a short absence would need a full copy
      fix       CONFIG SET repl-backlog-size 256mb

    FAIL destination-empty · destination main · DST-009 · the destination is empty
      found     12 keys\\x07
      expected  no keys
      why       \`existing: refuse\`
      fix       Empty it.

    orders: 1 of 4 checks fails, it may not start. 1 warn."
  `);
});

test("with details: those of every check; what was found is told whole there", () => {
  const long = sampleResult({ found: "x".repeat(100) });
  const lines = precheckTable("orders", sampleReport(long), { details: true }).split("\n");
  expect(lines[1]).toMatch(/  x{69}…$/);
  expect(lines).toContain(`  found     ${"x".repeat(100)}`);
  expect(lines.at(-1)).toBe("orders: none of 1 checks fails, it may start.");
});

test("a report of nothing", () => expect(precheckTable("orders", sampleReport())).toBe("orders: no check concerns it"));
