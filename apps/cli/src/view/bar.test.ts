import { expect, test } from "vitest";
import { bar } from "./bar.ts";

test.each([
  [0, "[----------]   0 %"],
  [0.456, "[####------]  45 %"],
  [0.9999, "[#########-]  99 %"],
  [1, "[##########] 100 %"],
  [7, "[##########] 100 %"],
  [-1, "[----------]   0 %"],
  [Number.NaN, "[----------]   0 %"],
])("%d", (fraction, text) => expect(bar(fraction, 10)).toBe(text));
