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
    const now = [...haltsIn(facts), ...copiesIn(facts)];
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

/** The same halt at another time is news. */
function timeOf(atMs: number): string {
  return new Date(atMs).toISOString();
}
