import type { Check } from "./check.ts";

export const empty: Check = {
  id: "empty",
  title: "A destination with `existing: refuse` is empty, or holds this pipeline's mark",
  judge: ({ destinations }) =>
    destinations
      .filter(({ existing, foreign, mark }) => existing === "refuse" && mark === null && foreign.length > 0)
      .map(({ endpoint, address, foreign }) => ({
        code: "DST-009",
        endpoint,
        found: `${address} holds ${foreign.map(({ keys, where }) => `${keys} keys ${where}`).join(", ")}`,
        expected: "no keys",
      })),
};
