import {
  ClusterConnections,
  endpointName,
  infoFields,
  lookAtDeployment,
  slotsWithoutOwner,
  type Endpoint,
  type PrimaryNode,
} from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import type { Redis } from "ioredis";
import { askServer } from "./ask-server.ts";
import type { ClusterFacts, PrimaryFacts } from "./facts.ts";

const LOOK_TIMEOUT_MS = 3_000;

export interface AskedCluster<T> {
  readonly cluster: ClusterFacts;
  /** Node ids. */
  readonly identities: readonly string[];
  /** What was asked of each primary that could be asked. */
  readonly keys: readonly T[];
}

/**
 * Asks the node at `seed` for its cluster, and every primary of that whether it can be used: each as a destination when `askKeys`
 * is given, which is then called with each, and with its slots. Never rejects for what a server does.
 */
export async function askCluster<T>(
  seed: Endpoint,
  askKeys: ((client: Redis, slots: string) => Promise<T>) | null,
): Promise<AskedCluster<T>> {
  const connections = new ClusterConnections(seed, LOOK_TIMEOUT_MS);
  try {
    const fields = infoFields(await connections.text(seed, ["CLUSTER", "INFO"]));
    const { primaries, nodeIds, trouble } = await lookAtDeployment(connections, [seed]);
    const asked = await Promise.all(primaries.map((primary) => askPrimary(seed, primary, askKeys)));
    const state = fields.get("cluster_state") ?? "unknown";
    const cluster = { state, unservedSlots: slotsWithoutOwner(primaries), trouble, primaries: asked.map(({ facts }) => facts) };
    return { cluster, identities: nodeIds, keys: asked.flatMap(({ keys }) => (keys === null ? [] : [keys])) };
  } catch (cause) {
    const cluster = { state: "unknown", unservedSlots: "", trouble: describeFault(cause), primaries: [] };
    return { cluster, identities: [], keys: [] };
  } finally {
    connections.close();
  }
}

async function askPrimary<T>(
  seed: Endpoint,
  { host, port, slots }: PrimaryNode,
  askKeys: ((client: Redis, slots: string) => Promise<T>) | null,
): Promise<{ facts: PrimaryFacts; keys: T | null }> {
  const endpoint = { ...seed, host, port };
  const { failure, answer } = await askServer(endpoint, async (client) => {
    const fields = infoFields(await client.info());
    if (fields.get("role") !== "master") return { fault: `says role:${fields.get("role") ?? "unknown"}`, keys: null };
    if (fields.get("loading") === "1") return { fault: "is loading its data", keys: null };
    if (askKeys === null) return { fault: null, keys: null };
    await tryScripts(client);
    return { fault: null, keys: await askKeys(client, slots) };
  });
  const facts = { address: endpointName(endpoint), fault: failure?.reason ?? answer?.fault ?? null };
  return { facts, keys: answer?.keys ?? null };
}

/** Writers apply through a script: a server that refuses the commands for it refuses here, by its rules for this user. */
async function tryScripts(client: Redis): Promise<void> {
  const script = "return 1";
  const digest = String(await client.script("LOAD", script));
  await client.evalsha(digest, 0);
  await client.eval(script, 0);
}
