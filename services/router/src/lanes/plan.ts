import type { AssignmentRecord } from "@sluice/wire";
import { assign } from "./assign.ts";
import { movesBetween, type Move } from "./moves.ts";
import type { WantedWork } from "./wanted-work.ts";

/** What the plan is made from: each pipeline's work, and who does it now (null: no record yet). */
export interface Work {
  readonly wanted: WantedWork;
  readonly assignment: AssignmentRecord | null;
}

/** The answers of the roll call that a plan needs. */
export interface Presence {
  live(service: string): string[];
  awaited(service: string, owners: Iterable<string>): Set<string>;
  silentMs(service: string, instance: string): number | null;
}

/** The new assignments, of those pipelines only where something changed, and what moves. */
export interface Plan {
  readonly assignments: ReadonlyMap<string, AssignmentRecord>;
  readonly moves: readonly Move[];
}

const KINDS = [
  { kind: "shards", service: "ingest" },
  { kind: "lanes", service: "writer" },
] as const;

/** Assigns the work of all pipelines together, so that the instances are balanced over all of them. Pure. */
export function planWork(pipelines: ReadonlyMap<string, Work>, presence: Presence): Plan {
  const next = new Map<string, AssignmentRecord>();
  for (const name of pipelines.keys()) next.set(name, { shards: {}, lanes: {} });
  const moves: Move[] = [];
  const changed = new Set<string>();
  for (const { kind, service } of KINDS) {
    const wanted: string[] = [];
    const before = new Map<string, string>();
    for (const [name, work] of pipelines) {
      wanted.push(...work.wanted[kind].map((item) => itemKey(name, item)));
      for (const [item, owner] of Object.entries(work.assignment?.[kind] ?? {})) before.set(itemKey(name, item), owner);
    }
    const live = presence.live(service);
    const after = assign(wanted, live, before, presence.awaited(service, before.values()));
    for (const [key, owner] of after) {
      const [name, item] = splitKey(key);
      next.get(name)![kind][item] = owner;
    }
    const found = movesBetween(before, after, {
      isWanted: (work) => wanted.includes(work),
      isLive: (instance) => live.includes(instance),
      silentMs: (instance) => presence.silentMs(service, instance),
    });
    for (const { work } of found) changed.add(splitKey(work)[0]);
    moves.push(...found);
  }
  return { assignments: new Map([...next].filter(([name]) => changed.has(name))), moves };
}

/** Names of pipelines hold no slash. */
function itemKey(pipeline: string, item: string): string {
  return `${pipeline}/${item}`;
}

function splitKey(key: string): [pipeline: string, item: string] {
  const at = key.indexOf("/");
  return [key.slice(0, at), key.slice(at + 1)];
}
