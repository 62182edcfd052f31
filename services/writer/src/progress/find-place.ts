import type { LaneStream, Records } from "@sluice/bus";
import { Halt, type Logger } from "@sluice/runtime";
import { BatchError, decodeBatch, epochRecord, liveSubject, recordKey, type Batch, type Position } from "@sluice/wire";
import { CopyNeeded } from "../copy-needed.ts";
import type { LaneDestination } from "../lane-destination.ts";
import type { AppliedHistory } from "./applied-history.ts";
import type { KnownHistory } from "./lane-chain.ts";
import { logPlace, type LogPlace } from "./log-place.ts";

export interface PlaceDeps {
  readonly pipeline: string;
  readonly group: string;
  readonly shard: string;
  readonly lane: number;
  readonly label: string;
  readonly records: Records;
  readonly stream: LaneStream;
  readonly applied: AppliedHistory;
  readonly log: Logger;
}

/**
 * Where the log of a lane is to be read from that has a mark. `reached`, `reachedIn`: see `LaneDestination`. Throws `CopyNeeded` where it can't lead on,
 * `Halt` DST-005 at a mark that nobody here set, BUS-004.
 */
export async function findPlace(
  position: Position,
  { reached, reachedIn }: Pick<LaneDestination, "reached" | "reachedIn">,
  deps: PlaceDeps,
): Promise<LogPlace> {
  const { pipeline, shard, lane, label, stream, applied, log } = deps;
  const subject = liveSubject(pipeline, shard, lane);
  const message = await stream.tail(subject);
  const tail = message === null ? null : { ...readAt(message.payload, message.sequence), sequence: message.sequence };
  await checkEpoch(position, tail?.epoch ?? 0, deps);
  const replid = replidOf(position.epoch, { reached, reachedIn }, applied);
  const found = position.phase === "live" && position.sequence > 0 ? await stream.at(position.sequence) : null;
  const batch = found?.subject === subject ? readAt(found.payload, found.sequence) : null;
  const isTaken = found !== null && batch === null;
  const place = logPlace({ position, reached, found: isTaken ? "another's" : batch, tail, replid });
  if (place.kind === "lost") throw new CopyNeeded(`lane ${label} can't go on: ${place.why}`, position.epoch);
  if (place.kind === "read" && place.isBehind) {
    const what = `the stream lost what led to offset ${reached}, it ends at ${tail?.last ?? 0}`;
    log.warn({ code: "BUS-003" }, `${what}: waiting until the source has sent it again`);
  }
  return place;
}

/**
 * What is to be known of the log behind a copy that went live beside slots which were live already and are ahead of it: they may
 * hold what another history than the log's wrote. Null where none is ahead.
 */
export function historyAhead(
  { position, reached, reachedIn }: Pick<LaneDestination, "position" | "reached" | "reachedIn">,
  applied: AppliedHistory,
): KnownHistory | null {
  if (position === null || reached <= position.offset) return null;
  return { upTo: reached, replid: replidOf(position.epoch, { reached, reachedIn }, applied) };
}

/** What this writer knows, or else what the mark says. */
function replidOf(
  epoch: number,
  { reached, reachedIn }: Pick<LaneDestination, "reached" | "reachedIn">,
  applied: AppliedHistory,
): string | null {
  return applied.replidAt(epoch, reached) ?? reachedIn;
}

/**
 * Epochs begin above all that a destination holds, unless what counts them is lost, or another pipeline of the name writes
 * there (H6). An epoch that this writer has seen the pipeline in is our own: a copy in a higher one mends it.
 */
async function checkEpoch(position: Position, stored: number, { records, pipeline, group, applied }: PlaceDeps): Promise<void> {
  const counter = (await records.get(recordKey.epoch(pipeline), epochRecord))?.value.epoch ?? 0;
  const epoch = Math.max(counter, stored);
  if (position.epoch <= epoch) return applied.begins(position.epoch);
  const what = `the mark in ${group} is of epoch ${position.epoch}, pipeline ${pipeline} is at epoch ${epoch}`;
  if (position.epoch <= applied.epoch) throw new CopyNeeded(what, position.epoch);
  throw new Halt("DST-005", what);
}

function readAt(payload: Uint8Array, sequence: number): Batch {
  try {
    return decodeBatch(payload);
  } catch (cause) {
    if (!(cause instanceof BatchError)) throw cause;
    throw new Halt("BUS-004", `message ${sequence}, where the mark stands, can't be read`, { cause });
  }
}
