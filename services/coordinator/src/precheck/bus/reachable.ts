import { describeFault } from "@sluice/runtime";
import { fail, pass, type Precheck } from "../precheck.ts";

export const busReachable: Precheck = {
  id: "bus-reachable",
  title: "NATS answers",
  why: "Everything that the source sends is stored there before it counts as received.",
  expected: "a nats-server that answers",
  fix: "Check SLUICE_NATS_URL, the nats-server's log and the network.",
  warns: null,
  fails: "there is no connection to NATS",
  code: "BUS-001",
  ifUnknown: "fail",
  isGate: true,
  run: async ({ bus }) => {
    try {
      const { serverVersion, cluster } = await bus();
      return [{ endpoint: "bus", ...pass(`nats-server ${serverVersion}${cluster === null ? "" : ` of cluster ${cluster}`}`) }];
    } catch (cause) {
      return [{ endpoint: "bus", ...fail(describeFault(cause)) }];
    }
  },
};
