import type { Precheck } from "../precheck.ts";
import { topologyOf } from "../topology-faults.ts";

export const sourceTopology: Precheck = {
  id: "source-topology",
  title: "The source is a primary, or a cluster that is whole",
  why: "What nobody serves can't be copied, and a node that is cut off from the others shows an old picture.",
  expected: "role:master; of a cluster cluster_state:ok, all 16384 slots served, and every primary usable",
  fix: "Name the primary instead of its replica. Mend a cluster: `redis-cli --cluster check` names what is wrong.",
  warns: "a failover is under way, or a node is suspected to have failed",
  fails: "a standalone server is a replica; slots that nobody serves, nodes that do not agree, or a primary that can't be used",
  code: "SRC-008",
  ifUnknown: "fail",
  run: async ({ source }) => [{ endpoint: source.name, ...(await topologyOf(source, "SRC-008")) }],
};
