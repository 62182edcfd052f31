import { eachEndpoint } from "./check.ts";

export const standalone = eachEndpoint(
  "standalone",
  "No server is part of a cluster",
  { source: "PIP-005", destination: "PIP-005" },
  ({ address, server }) =>
    server?.isCluster === true
      ? {
          found: `${address} says cluster_enabled:1: clusters are not carried yet in this release`,
          expected: "cluster_enabled:0",
        }
      : null,
);
