import type { Check } from "./check.ts";

export const databases: Check = {
  id: "databases",
  title: "A source with keys in databases other than 0 feeds no cluster",
  judge: ({ source, destinations }) => {
    const others = source.server?.databases.filter((db) => db !== 0) ?? [];
    if (others.length === 0) return [];
    return destinations
      .filter(({ server }) => server?.isCluster === true)
      .map(({ endpoint, address }) => ({
        code: "PIP-005",
        endpoint,
        found: `${address} is part of a cluster, and ${source.address} holds keys in database ${others.join(", ")}`,
        expected: "keys in database 0 only, or a standalone destination",
      }));
  },
};
