import { expect, test } from "vitest";
import { repeatable } from "./everywhere.ts";

// Mutations seen to fail it: everywhere.ts, LOAD without REPLACE; RESTORE with FLUSH turned into REPLACE.
test.each([
  ["FUNCTION LOAD code", "FUNCTION LOAD REPLACE code"],
  ["function load replace code", "function load replace code"],
  ["FUNCTION RESTORE payload", "FUNCTION RESTORE payload REPLACE"],
  ["FUNCTION RESTORE payload APPEND", "FUNCTION RESTORE payload REPLACE"],
  ["FUNCTION RESTORE payload flush", "FUNCTION RESTORE payload flush"],
  ["FUNCTION DELETE library", "FUNCTION DELETE library"],
  ["FUNCTION FLUSH ASYNC", "FUNCTION FLUSH ASYNC"],
  ["SCRIPT LOAD body", "SCRIPT LOAD body"],
])("%s may be repeated as %s", (line, expected) => {
  for (const args of [line.split(" "), line.split(" ").map((word) => Buffer.from(word))])
    expect(repeatable(args).map(String).join(" ")).toBe(expected);
});
