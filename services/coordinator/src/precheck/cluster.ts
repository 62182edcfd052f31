import { eachEndpoint } from "./check.ts";

export const cluster = eachEndpoint(
  "cluster",
  "Every cluster is whole, and each of its primaries can be used",
  { source: "SRC-008", destination: "DST-011" },
  ({ address, cluster }) => {
    if (cluster === null) return null;
    const { state, unservedSlots, trouble, primaries } = cluster;
    const faults = [
      ...(state === "ok" ? [] : [`cluster_state:${state}`]),
      ...(unservedSlots === "" ? [] : [`nobody serves the slots ${unservedSlots}`]),
      ...primaries.flatMap(({ address, fault }) => (fault === null ? [] : [`${address}: ${fault}`])),
    ];
    // A primary that can't be asked is why they show no one picture.
    if (faults.length === 0 && trouble !== null) faults.push(trouble);
    if (faults.length === 0) return null;
    const expected = "cluster_state:ok, all 16384 slots served, and every primary usable with these credentials";
    return { found: `the cluster of ${address}: ${faults.join("; ")}`, expected };
  },
);
