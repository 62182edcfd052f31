import { eachEndpoint } from "./check.ts";

export const primary = eachEndpoint(
  "primary",
  "Every server is a primary",
  { source: "PIP-006", destination: "PIP-006" },
  ({ address, server }) =>
    server !== null && server.role !== "master"
      ? { found: `${address} says role:${server.role}`, expected: "role:master" }
      : null,
);
