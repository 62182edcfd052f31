import type { Check } from "./check.ts";

export const otherServer: Check = {
  id: "other-server",
  title: "No destination is the source itself",
  judge: ({ source, destinations }) =>
    destinations
      .filter(({ server }) => source.server !== null && server !== null && server.runId === source.server.runId)
      .map(({ endpoint, address }) => ({
        code: "PIP-007",
        endpoint,
        found: `${address} is the same server as the source ${source.address} (equal run_id)`,
        expected: "another server",
      })),
};
