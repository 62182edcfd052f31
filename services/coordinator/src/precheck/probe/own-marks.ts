import { slotTag } from "@sluice/redis";
import { OWN_KEY_PREFIX, slotMarkKey, SlotSet } from "@sluice/wire";
import { laneMarkKeys } from "../read-marks.ts";
import type { OtherPipeline, PrecheckSubject } from "../subject.ts";
import type { DeploymentProbe } from "./deployment-probe.ts";
import { valuesOf } from "./destination-probe.ts";
import { scanPage } from "./foreign-keys.ts";
import type { ServerProbe } from "./server-probe.ts";

const SCAN_COUNT = 1_000;
/** Pages of a server's keys that are looked through. */
const MOST_PAGES = 20;
const MOST_NAMES = 64;
/** Of pipelines and groups together. */
const MOST_OWNERS = 512;
/** Keys for values that are being built have `tmp` before the names, which a pipeline may be called, too. */
const OWNER =
  /^sluice:\{[^}]*\}:(?:tmp:(?=[a-z0-9-]{1,32}:[a-z0-9-]{1,32}:s\d+\.\d))?([a-z0-9-]{1,32}):([a-z0-9-]{1,32})(?::|$)/;

/**
 * Names of the pipelines whose marks stand on a deployment: all of those that are known, and of others those that come up in a bounded
 * look through its keys.
 */
export async function pipelinesMarking(of: DeploymentProbe, known: readonly OtherPipeline[]): Promise<Set<string>> {
  const isCluster = await of.isCluster();
  const names = await Promise.all(
    (await of.primaries()).map(async (server) => [
      ...(await scannedOwners(server)).map(({ pipeline }) => pipeline),
      ...(await knownOwners(server, isCluster, known)),
    ]),
  );
  return new Set(names.flat().slice(0, MOST_NAMES));
}

/** As `pipelinesMarking`, the groups of one pipeline; `known`: those whose every mark is asked for, however many keys there are. */
export async function groupsMarking(
  of: DeploymentProbe,
  { name, lanes }: Pick<PrecheckSubject, "name" | "lanes">,
  known: readonly string[],
): Promise<Set<string>> {
  const isCluster = await of.isCluster();
  const primaries = await of.primaries();
  const groups = await Promise.all(
    primaries.map(async (server) => {
      const scanned = (await scannedOwners(server)).filter(({ pipeline }) => pipeline === name).map(({ group }) => group);
      const found = new Set(scanned);
      for (const group of known) {
        if (found.has(group)) continue;
        const slots = isCluster ? [...SlotSet.parse(server.slots)] : [];
        const keys = isCluster
          ? slots.map((slot) => slotMarkKey(slotTag(slot), name, group))
          : laneMarkKeys({ name, group, lanes });
        if ((await valuesOf(server, keys, primaries)).length > 0) found.add(group);
      }
      return [...found];
    }),
  );
  return new Set(groups.flat());
}

export interface MarkedBy {
  readonly pipeline: string;
  readonly group: string;
}

/** Whose key it is; null for one that is not Sluice's. */
export function ownerOf(key: string): MarkedBy | null {
  const [, pipeline, group] = OWNER.exec(key) ?? [];
  return pipeline === undefined || group === undefined ? null : { pipeline, group };
}

/** Looked for once for all who ask. */
async function scannedOwners(server: ServerProbe): Promise<MarkedBy[]> {
  const owners = new Map<string, MarkedBy>();
  let cursor = "0";
  for (let page = 0; page < MOST_PAGES; page++) {
    const reply = await server.ask("SCAN", cursor, "MATCH", `${OWN_KEY_PREFIX}*`, "COUNT", String(SCAN_COUNT));
    const { next, keys } = scanPage(reply);
    for (const key of keys) {
      const owner = ownerOf(key);
      if (owner !== null && owners.size < MOST_OWNERS) owners.set(`${owner.pipeline}:${owner.group}`, owner);
    }
    cursor = next;
    if (cursor === "0") break;
  }
  return [...owners.values()];
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
