import { eventsOf, MOST_EVENTS, type News } from "./event-log.ts";
import type { KnownPipeline } from "./pipeline-book.ts";
import type { StateFacts } from "./state.ts";

/**
 * Finds in the records of a pipeline what people want to be told: halts, and full copies that begin and end. What it has told before
 * it knows from memory, and behind a restart from the events themselves.
 */
export class NewsWatch {
  readonly #known: KnownPipeline;
  #told: Set<string> | null = null;

  constructor(known: KnownPipeline) {
    this.#known = known;
  }

  take(facts: Pick<StateFacts, "shards" | "lanes" | "watches">): News[] {
    const now = [...haltsIn(facts), ...copiesIn(facts), ...groupCopiesIn(facts), ...keptIn(facts)];
    this.#told ??= new Set(eventsOf(this.#known).map(({ text }) => text));
    const told = this.#told;
    const news = now.filter(({ text }) => !told.has(text));
    for (const { text } of news) told.add(text);
    // What is no longer there may come again; a copy is named by its epoch and does not.
    if (told.size > 4 * MOST_EVENTS) this.#told = new Set(now.map(({ text }) => text));
    return news;
  }
}

function haltsIn({ shards, lanes, watches }: Pick<StateFacts, "shards" | "lanes" | "watches">): News[] {
  const halts = [
    ...shards.map(({ id, seen }) => ({ what: `shard ${id}`, halt: seen?.halt ?? null })),
    ...lanes.map(({ label, seen }) => ({ what: `lane ${label}`, halt: seen?.halt ?? null })),
    ...watches.map((watch) => ({ what: "router", halt: watch.halt })),
  ];
  return halts.flatMap(({ what, halt }) =>
    halt === null ? [] : [{ kind: "halt" as const, text: `${what} halted: ${halt.code} ${halt.message} (${timeOf(halt.at)})` }],
  );
}

function copiesIn({ shards, lanes }: Pick<StateFacts, "shards" | "lanes">): News[] {
  return shards.flatMap(({ id, seen, floor }): News[] => {
    if (seen === null || seen.epoch <= floor) return [];
    const what = `full copy ${seen.epoch} of shard ${id}`;
    const begun = { kind: "copy" as const, text: `${what} begun` };
    if (seen.phase === "copying") return [begun];
    const own = lanes.filter(({ label }) => label.split(".")[1] === id);
    const isApplied = own.length > 0 && own.every((lane) => lane.seen?.phase === "live" && lane.seen.epoch === seen.epoch);
    return isApplied ? [{ kind: "copy", text: `${what} applied` }] : [];
  });
}

/** Copies for groups that were added later. */
function groupCopiesIn({ shards, lanes }: Pick<StateFacts, "shards" | "lanes">): News[] {
  return shards.flatMap(({ id, seen }) =>
    (seen?.copies ?? []).flatMap(({ epoch, copy, groups, phase, retry }): News[] => {
      const names = Object.keys(groups);
      const what = `copy ${epoch}.${copy} of shard ${id} for ${names.join(", ")}`;
      if (phase === "copying") return [{ kind: "copy", text: `${what} begun` }];
      if (phase === "void" && retry !== null) return [{ kind: "copy", text: `${what} broke off: ${retry.reason}` }];
      const own = lanes.filter(({ label }) => label.split(".")[1] === id && names.includes(groupOf(label)));
      const isApplied = own.every(
        (lane) => lane.seen?.phase === "live" && lane.seen.epoch === epoch && lane.seen.copy === copy,
      );
      return phase === "stored" && own.length > 0 && isApplied ? [{ kind: "copy", text: `${what} applied` }] : [];
    }),
  );
}

/** Of groups all of whose lanes know which keys they keep. */
function keptIn({ lanes }: Pick<StateFacts, "lanes">): News[] {
  const groups = new Set(lanes.map(({ label }) => groupOf(label)));
  return [...groups].flatMap((group): News[] => {
    const kept = lanes.filter(({ label }) => groupOf(label) === group).map(({ seen }) => seen?.keptKeys);
    if (kept.includes(undefined)) return [];
    const count = kept.reduce((sum: number, keys) => sum + (keys ?? 0), 0);
    const what = `${count} keys that stood in ${group} before the first copy are kept`;
    return [{ kind: "copy", text: `${what}: nothing is ever written to them` }];
  });
}

function groupOf(label: string): string {
  return label.split(".", 1)[0] ?? "";
}

/** The same halt at another time is news. */
function timeOf(atMs: number): string {
  return new Date(atMs).toISOString();
}
