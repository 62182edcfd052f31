import { expect, test } from "vitest";
import { formatBytes, formatCount, formatMs, formatSeconds } from "./quantity.ts";

test.each([
  [0, "0"],
  [999, "999"],
  [1_000, "1 000"],
  [1_234_567.4, "1 234 567"],
])("count %d", (value, text) => expect(formatCount(value)).toBe(text));

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [999.6, "1.0 kB"],
  [1_240, "1.2 kB"],
  [12_400, "12 kB"],
  [999_700, "1.0 MB"],
  [3e18, "3000 PB"],
])("bytes %d", (value, text) => expect(formatBytes(value)).toBe(text));

test.each([
  [0, "0.0 s"],
  [9.94, "9.9 s"],
  [9.96, "10 s"],
  [59.6, "1 min 0 s"],
  [3_599.4, "59 min 59 s"],
  [7_800, "2 h 10 min"],
])("seconds %d", (value, text) => expect(formatSeconds(value)).toBe(text));

test.each([
  [0.44, "0.4 ms"],
  [12.3, "12 ms"],
  [1_230, "1.2 s"],
])("ms %d", (value, text) => expect(formatMs(value)).toBe(text));
