import { slotTag } from "@sluice/redis";
import { OWN_KEY_PREFIX, slotMarkKey } from "@sluice/wire";
import { laneMarkKeys } from "../read-marks.ts";
import type { OtherPipeline } from "../subject.ts";
import type { DeploymentProbe } from "./deployment-probe.ts";
import { scanPage } from "./foreign-keys.ts";
import type { ServerProbe } from "./server-probe.ts";

const SCAN_COUNT = 1_000;
/** Pages of a server's keys that are looked through. */
const MOST_PAGES = 20;
const MOST_NAMES = 64;
const OWNER = /^sluice:\{[^}]*\}:([a-z0-9-]{1,32}):[a-z0-9-]{1,32}(?::|$)/;

/**
 * Names of the pipelines whose marks stand on a deployment: all of those that are known, and of others those that come up in a bounded
 * look through its keys.
 */
export async function pipelinesMarking(of: DeploymentProbe, known: readonly OtherPipeline[]): Promise<Set<string>> {
  const isCluster = await of.isCluster();
  const names = await Promise.all(
    (await of.primaries()).map(async (server) => [
      ...(await scannedOwners(server)),
      ...(await knownOwners(server, isCluster, known)),
    ]),
  );
  return new Set(names.flat().slice(0, MOST_NAMES));
}

/** Whose key it is; null for one that is not Sluice's. */
export function ownerOf(key: string): string | null {
  return OWNER.exec(key)?.[1] ?? null;
}

async function scannedOwners(server: ServerProbe): Promise<Set<string>> {
  const owners = new Set<string>();
  let cursor = "0";
  for (let page = 0; page < MOST_PAGES; page++) {
    const reply = await server.askAnew("SCAN", cursor, "MATCH", `${OWN_KEY_PREFIX}*`, "COUNT", String(SCAN_COUNT));
    const { next, keys } = scanPage(reply);
    for (const key of keys) {
      const owner = ownerOf(key);
      if (owner !== null && owners.size < MOST_NAMES) owners.add(owner);
    }
    cursor = next;
    if (cursor === "0") break;
  }
  return owners;
}

async function knownOwners(server: ServerProbe, isCluster: boolean, known: readonly OtherPipeline[]): Promise<string[]> {
  const firstSlot = Number.parseInt(server.slots, 10);
  const keysOf = (name: string, group: string): string[] =>
    isCluster ? [slotMarkKey(slotTag(firstSlot), name, group)] : laneMarkKeys({ name, group, lanes: 1 });
  const found = await Promise.all(
    known.map(async ({ name, destinations }) => {
      const keys = destinations.flatMap(({ group }) => keysOf(name, group));
      const replies = await Promise.all(keys.map(async (key) => server.askAnew("EXISTS", key)));
      return replies.some((reply) => Number(reply) > 0) ? [name] : [];
    }),
  );
  return found.flat();
}
