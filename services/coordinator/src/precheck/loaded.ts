import { eachEndpoint } from "./check.ts";

export const loaded = eachEndpoint(
  "loaded",
  "No server is still loading its data",
  { source: "SRC-003", destination: "DST-003" },
  ({ address, server }) =>
    server?.isLoading === true ? { found: `${address} is loading its data`, expected: "loading:0" } : null,
);
