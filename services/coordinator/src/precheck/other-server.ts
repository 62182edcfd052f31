import type { Check } from "./check.ts";

export const otherServer: Check = {
  id: "other-server",
  title: "No destination is the source itself",
  judge: ({ source, destinations }) =>
    destinations
      .filter(({ identities }) => identities.some((identity) => source.identities.includes(identity)))
      .map(({ endpoint, address, server }) => ({
        code: "PIP-007",
        endpoint,
        found:
          server?.isCluster === true
            ? `${address} is part of the same cluster as the source ${source.address} (equal node ids)`
            : `${address} is the same server as the source ${source.address} (equal run_id)`,
        expected: "another server",
      })),
};
