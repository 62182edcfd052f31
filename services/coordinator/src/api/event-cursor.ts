import type { ApiEvent } from "@sluice/wire";
import { eventsOf } from "../lifecycle/event-log.ts";
import type { KnownPipeline } from "../lifecycle/pipeline-book.ts";

/** An event of another pipeline may have been written by a coordinator whose clock is behind by so much. */
const CLOCK_SLACK_MS = 60_000;
const ALL_ID = /^(\d{1,16})\.([a-z0-9-]{1,32})\.(\d{1,15})$/;

/** Where a client stands among events. `pipeline` is null for all of them. */
export interface EventCursor {
  /** The events that come next, in the order of their time; the cursor stands behind them then. */
  take(pipelines: readonly KnownPipeline[]): ApiEvent[];
}

/** Names an event so that a client can go on behind it: by its pipeline's own count, among all pipelines with time and name. */
export function cursorId({ at, pipeline, id }: ApiEvent, isOfAll: boolean): string {
  return isOfAll ? `${Math.floor(at)}.${pipeline}.${id}` : String(id);
}

/**
 * A cursor behind the event that `after` names; before all that is kept where it is empty or names none. Of one pipeline every
 * event comes once. Of all pipelines those of the others that are hardly older come again: their clocks may differ.
 */
export function openCursor(isOfAll: boolean, after: string | undefined): EventCursor {
  const named = isOfAll ? ALL_ID.exec(after ?? "") : /^()()(\d{1,15})$/.exec(after ?? "");
  const at = Number(named?.[1] ?? 0);
  const of = named?.[2] ?? "";
  const taken = new Map<string, number>();
  const firstOf = (known: KnownPipeline): number => {
    const events = eventsOf(known);
    if (named === null) return 0;
    if (!isOfAll || of === known.name) {
      const id = Number(named[3]);
      // Of a pipeline that was deleted and created again.
      return id > (events.at(-1)?.id ?? 0) ? 0 : id;
    }
    return (events.find((event) => event.at >= at - CLOCK_SLACK_MS)?.id ?? (events.at(-1)?.id ?? 0) + 1) - 1;
  };
  return {
    take: (pipelines) => {
      const found: ApiEvent[] = [];
      for (const known of pipelines) {
        // Not told to this coordinator yet, or there are none.
        if (known.events === null) continue;
        const events = eventsOf(known);
        const newest = events.at(-1)?.id ?? 0;
        let last = taken.get(known.name) ?? firstOf(known);
        if (newest < last) last = 0;
        taken.set(known.name, newest);
        if (newest > last) {
          for (const event of events) if (event.id > last) found.push({ ...event, pipeline: known.name });
        }
      }
      return found.toSorted(
        (a, b) => a.at - b.at || (a.pipeline === b.pipeline ? a.id - b.id : a.pipeline < b.pipeline ? -1 : 1),
      );
    },
  };
}
