import { reachability } from "../endpoint-checks.ts";
import type { Precheck, PrecheckText } from "../precheck.ts";
import { eachDestination } from "../server-check.ts";

const text: PrecheckText = {
  id: "destination-reachable",
  title: "Every server of the destinations answers",
  why: "What can't be reached can't be written, and a failover to a replica that can't be reached stops the group.",
  expected: "a Redis server that answers",
  fix: "Check the address, the port, `rediss://` for TLS, the network between here and there, and whether the server runs.",
  warns: "a replica does not answer",
  fails: "the server that the pipeline names, or a primary of its cluster, does not answer",
  code: "DST-001",
  ifUnknown: "fail",
  isGate: true,
};

export const destinationReachable: Precheck = {
  ...text,
  run: async (context) =>
    eachDestination(context, text, async (one) => reachability(one, { seed: "DST-001", node: "DST-011" })),
};
