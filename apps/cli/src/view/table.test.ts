import { expect, test } from "vitest";
import { table } from "./table.ts";

test("columns are as wide as their widest cell; lines do not end in spaces", () => {
  const rows = [
    ["A", "COUNT", "C"],
    ["long one", "7", ""],
  ];
  expect(table(rows, [1])).toBe("A         COUNT  C\nlong one      7");
});
