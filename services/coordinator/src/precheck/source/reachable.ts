import { reachability } from "../endpoint-checks.ts";
import type { Precheck } from "../precheck.ts";

export const sourceReachable: Precheck = {
  id: "source-reachable",
  title: "Every server of the source answers",
  why: "A server that can't be reached can't be copied, nor followed to after a failover.",
  expected: "a Redis server that answers",
  fix: "Check the address, the port, `rediss://` for TLS, the network between here and there, and whether the server runs.",
  warns: "a replica, or one of several Sentinels, does not answer",
  fails: "the server that the pipeline names, or a primary of its cluster, does not answer",
  code: "SRC-001",
  ifUnknown: "fail",
  isGate: true,
  run: async ({ source }) => reachability(source, { seed: "SRC-001", node: "SRC-008" }),
};
