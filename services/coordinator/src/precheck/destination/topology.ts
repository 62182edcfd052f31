import type { Precheck, PrecheckText } from "../precheck.ts";
import { wholeDestinations } from "../server-check.ts";
import { topologyOf } from "../topology-faults.ts";

const text: PrecheckText = {
  id: "destination-topology",
  title: "Every destination is a primary, or a cluster that is whole",
  why: "A replica takes no writes, and keys of slots that nobody serves can't be written.",
  expected: "role:master; of a cluster cluster_state:ok, all 16384 slots served, and every primary usable",
  fix: "Name the primary instead of its replica. Mend a cluster: `redis-cli --cluster check` names what is wrong.",
  warns: "a failover is under way, or a node is suspected to have failed",
  fails: "a standalone server is a replica; slots that nobody serves, nodes that do not agree, or a primary that can't be used",
  code: "DST-011",
  ifUnknown: "fail",
};

export const destinationTopology: Precheck = {
  ...text,
  run: async (context) => wholeDestinations(context, text, async (one) => topologyOf(one, "DST-011")),
};
