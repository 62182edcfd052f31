import { endpointName, infoFields, slotsWithoutOwner } from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import { fail, pass, warn, type Look } from "./precheck.ts";
import type { DeploymentProbe } from "./probe/deployment-probe.ts";
import { ServerFailure } from "./probe/server-failure.ts";

/**
 * Whether a cluster is whole, and each of its primaries one, and whether a standalone server is a primary. `clusterCode` is of a
 * cluster that is not.
 */
export async function topologyOf(of: DeploymentProbe, clusterCode: "SRC-008" | "DST-011"): Promise<Look> {
  const seed = await of.seed();
  const state = await seed.state();
  const address = endpointName(seed.endpoint);
  if (!state.isCluster) {
    if (state.isPrimary) return failoverOf(state.text("master_failover_state"), `${address} is a primary on its own`);
    const text = `${address} says role:${state.text("role") || "unknown"}`;
    return fail(text, { code: "PIP-006", expected: "role:master" });
  }
  if (state.isLoading) return pass(`${address} is loading its data`);
  const faults = await clusterFaults(of, seed.endpoint);
  if (faults.length > 0) return fail(`the cluster of ${address}: ${faults.join("; ")}`, { code: clusterCode });
  const primaries = await of.primaries();
  const suspected = Number(infoFields(await seed.text("CLUSTER", "INFO")).get("cluster_slots_pfail") ?? 0);
  if (suspected > 0) return warn(`the cluster of ${address}: cluster_slots_pfail:${suspected}: a failover may be near`);
  return pass(`a cluster of ${primaries.length} primaries and ${(await of.replicas()).length} replicas, all slots served`);
}

function failoverOf(failover: string, text: string): Look {
  if (failover === "" || failover === "no-failover") return pass(text);
  return warn(`${text}; master_failover_state:${failover}`, {
    fix: "Wait until the failover is over, and run the check again.",
  });
}

async function clusterFaults(of: DeploymentProbe, seed: { host: string; port: number }): Promise<string[]> {
  const clusterState = infoFields(await (await of.seed()).text("CLUSTER", "INFO")).get("cluster_state") ?? "unknown";
  const faults = clusterState === "ok" ? [] : [`cluster_state:${clusterState}`];
  try {
    const { primaries, trouble } = await of.deployment();
    const unserved = slotsWithoutOwner(primaries);
    if (unserved !== "") faults.push(`nobody serves the slots ${unserved}`);
    for (const server of await of.primaries()) {
      try {
        const state = await server.state();
        if (!state.isPrimary) faults.push(`${server.name}: says role:${state.text("role") || "unknown"}`);
      } catch (cause) {
        faults.push(cause instanceof ServerFailure ? cause.message : `${server.name}: ${describeFault(cause)}`);
      }
    }
    // A primary that can't be asked is why they show no one picture.
    if (faults.length === 0 && trouble !== null) faults.push(trouble);
  } catch (cause) {
    faults.push(`seen from ${endpointName(seed)}: ${describeFault(cause)}`);
  }
  return faults.slice(0, 16);
}
