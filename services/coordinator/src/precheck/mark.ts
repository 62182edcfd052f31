import type { Check } from "./check.ts";

export const mark: Check = {
  id: "mark",
  title: "What stands at this pipeline's mark can be read",
  judge: ({ destinations }) =>
    destinations.flatMap(({ endpoint, mark }) =>
      typeof mark === "string" ? [{ code: "DST-005", endpoint, found: mark, expected: "a mark, or nothing" }] : [],
    ),
};
