import type { Records } from "@sluice/bus";
import { printable, Retryable } from "@sluice/runtime";
import { eventsRecord, recordKey, type EventsRecord, type PipelineEvent, type TopologyRecord } from "@sluice/wire";
import type { KnownPipeline } from "./pipeline-book.ts";

/** What is kept of a pipeline's past; older ones are in the coordinator's log. */
export const MOST_EVENTS = 200;
const LONGEST_TEXT = 1_000;
const ATTEMPTS = 10;
const EMPTY: EventsRecord = { events: [], topology: null };

export type News = Pick<PipelineEvent, "kind" | "text">;

/** The events of a pipeline that are kept, newest last. */
export function eventsOf(known: Pick<KnownPipeline, "events">): readonly PipelineEvent[] {
  return known.events?.value.events ?? [];
}

/** The record behind `news`, and behind what the topology tells that the record has not taken over yet. */
export function withNews(
  record: EventsRecord,
  news: readonly News[],
  told: TopologyRecord["events"],
  nowMs: number,
): EventsRecord {
  const last = record.topology;
  const index = last === null ? -1 : told.findLastIndex(({ at, text }) => at === last.at && text === last.text);
  const fresh = told.slice(index + 1);
  let id = record.events.at(-1)?.id ?? 0;
  const added = [
    ...fresh.map(({ at, text }) => ({ at, kind: "topology" as const, text })),
    ...news.map(({ kind, text }) => ({ at: nowMs, kind, text })),
  ].map((event) => ({ ...event, id: ++id, text: printable(event.text).slice(0, LONGEST_TEXT) }));
  return { events: [...record.events, ...added].slice(-MOST_EVENTS), topology: fresh.at(-1) ?? last };
}

/**
 * Adds to the events of a pipeline. Several add at a time (its life, the operator's commands): each reads what the other wrote.
 * Throws `Retryable` BUS-001.
 */
export async function addEvents(
  records: Pick<Records, "get" | "compareAndSet">,
  pipeline: string,
  news: readonly News[],
  nowMs: number,
  told: TopologyRecord["events"] = [],
): Promise<void> {
  const key = recordKey.events(pipeline);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const current = await records.get(key, eventsRecord);
    const before = current?.value ?? EMPTY;
    const next = withNews(before, news, told, nowMs);
    if (next.events.at(-1)?.id === before.events.at(-1)?.id) return;
    if ((await records.compareAndSet(key, eventsRecord, next, current?.revision ?? 0)) !== null) return;
  }
  throw new Retryable("BUS-001", "bus", `the events of ${pipeline} were changed by others ${ATTEMPTS} times in a row`);
}
