import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MUTANTS } from "./mutants.ts";

const root = new URL("../../", import.meta.url);

test.each(MUTANTS.map(({ name, changes }) => [name, changes] as const))(
  "%s: what is to be changed stands in its file once",
  (_, changes) => {
    for (const { file, find } of changes)
      expect(readFileSync(new URL(file, root), "utf8").split(find).length - 1, `${file}: ${find}`).toBe(1);
  },
);
