import { eachEndpoint } from "./check.ts";

/** Any node of a cluster leads to its primaries. */
export const primary = eachEndpoint(
  "primary",
  "Every standalone server is a primary",
  { source: "PIP-006", destination: "PIP-006" },
  ({ address, server }) =>
    server !== null && !server.isCluster && server.role !== "master"
      ? { found: `${address} says role:${server.role}`, expected: "role:master" }
      : null,
);
