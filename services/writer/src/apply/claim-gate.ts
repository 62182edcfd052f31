import { Connection, slotTag, type Endpoint } from "@sluice/redis";
import type { Clock } from "@sluice/runtime";
import { laneMarkKey, lanesOf, parseMark, SlotSet, type TopologyRecord } from "@sluice/wire";
import { destinationFault } from "./standalone-destination.ts";

const LOOK_MS = 200;

export interface ClaimGateOptions {
  readonly topology: TopologyRecord;
  readonly pipeline: string;
  readonly group: string;
  readonly endpoint: Endpoint;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Waits until no lane can apply anything from before its shard's slots changed hands.
 *
 * When a slot goes from one source shard to another, both begin a new epoch. On a destination that is one server the slot's
 * former lane could otherwise write old changes over the new copy. So a copy puts down its first key only when every lane of a
 * shard whose slots have changed has claimed a later epoch: from then on its old changes are refused.
 */
export async function earlierHistoriesEnded(options: ClaimGateOptions): Promise<void> {
  const { topology, pipeline, group, endpoint, clock, signal } = options;
  const concerned = topology.shards.filter(({ floor }) => floor > 0);
  const marks = concerned.flatMap(({ id, slots, floor }) =>
    lanesOf(SlotSet.parse(slots), topology.lanes).map((lane) => ({
      key: laneMarkKey(slotTag(0), pipeline, group, id, lane),
      floor,
    })),
  );
  if (marks.length === 0) return;
  let connection: Connection | null = null;
  try {
    connection = await Connection.open(endpoint, { name: "sluice-gate", signal });
    while (!signal.aborted) {
      const found = await connection.call(["MGET", ...marks.map(({ key }) => key)]);
      const texts = Array.isArray(found) ? found.map((mark) => (Buffer.isBuffer(mark) ? mark.toString("latin1") : null)) : [];
      const isEarlier = (text: string | null, index: number): boolean =>
        text !== null && parseMark(text).epoch <= (marks[index]?.floor ?? 0);
      if (!texts.some(isEarlier)) return;
      await clock.sleep(LOOK_MS, signal);
    }
  } catch (cause) {
    throw destinationFault(group, cause);
  } finally {
    connection?.close();
  }
}
