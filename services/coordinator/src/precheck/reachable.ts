import { eachEndpoint } from "./check.ts";

export const reachable = eachEndpoint(
  "reachable",
  "Every server answers",
  { source: "SRC-001", destination: "DST-001" },
  ({ address, failure }) =>
    failure === null || failure.kind === "credentials"
      ? null
      : { found: `${address}: ${failure.reason}`, expected: "a Redis server that answers" },
);
