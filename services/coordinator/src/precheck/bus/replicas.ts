import type { BusFacts } from "@sluice/bus";
import { fail, pass, type Look } from "../precheck.ts";
import { busCheck } from "./bus-check.ts";

export function judgeReplicas({
  replicas,
  cluster,
  knownServers,
}: Pick<BusFacts, "replicas" | "cluster" | "knownServers">): Look {
  const place =
    cluster === null ? "a nats-server on its own" : `cluster ${cluster}, of which ${knownServers} servers are known`;
  const found = `SLUICE_STREAM_REPLICAS ${replicas}; ${place}`;
  return replicas > (cluster === null ? 1 : knownServers) ? fail(found) : pass(found);
}

export const busReplicas = busCheck(
  {
    id: "bus-replicas",
    title: "NATS can keep as many copies as it shall",
    why: "A stream with more copies than there are servers can't be made.",
    expected: "at least SLUICE_STREAM_REPLICAS servers in the NATS cluster",
    fix: "Add servers to the NATS cluster, or set SLUICE_STREAM_REPLICAS lower for every service. Where the servers do not advertise each other (`no_advertise`), waive it.",
    warns: null,
    fails: "fewer servers are known than copies are wanted; can be waived",
    code: "BUS-007",
    isWaivable: true,
  },
  (facts) => judgeReplicas(facts),
);
