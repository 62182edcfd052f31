import { WIRE_VERSION } from "./version.ts";

/** `snap` while a full copy is being written, `live` once the changes behind it are. In one copy, `snap` comes before `live`. */
export type Phase = "snap" | "live";

/**
 * How far one lane of one writer group has come.
 *
 * Positions are ordered by (epoch, copy, phase, offset). `offset` is an offset of the source's replication stream in phase
 * `live`, and a count of this lane's keys in phase `snap`. `sequence` is the JetStream sequence of the message that brought it
 * there: where reading continues, never part of the order.
 */
export interface Position {
  readonly epoch: number;
  readonly copy: number;
  readonly phase: Phase;
  readonly shard: string;
  readonly offset: number;
  readonly sequence: number;
}

const PHASE_RANK = { snap: 0, live: 1 } as const;

/** Negative when `a` is behind `b`, 0 when they are the same place, positive when it is ahead. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.copy - b.copy || PHASE_RANK[a.phase] - PHASE_RANK[b.phase] || a.offset - b.offset;
}

/** The mark as it stands in a destination: `version|epoch|copy|phase|shard|offset|sequence`. */
export function formatMark(position: Position): string {
  const { epoch, copy, phase, shard, offset, sequence } = position;
  return `${WIRE_VERSION}|${epoch}|${copy}|${phase}|${shard}|${offset}|${sequence}`;
}

const MARK = /^(\d+)\|(\d{1,15})\|(\d{1,15})\|(snap|live)\|(s\d{1,6})\|(\d{1,16})\|(\d{1,16})$/;

/** Reads a mark. Throws a `MarkError` that quotes at most 80 characters of what stands there instead of one. */
export function parseMark(text: string): Position {
  const fields = MARK.exec(text);
  if (fields === null) throw new MarkError(text, `expected version|epoch|copy|snap or live|shard|offset|sequence`);
  const [, version, epoch, copy, phase, shard, offset, sequence] = fields;
  if (Number(version) !== WIRE_VERSION) throw new MarkError(text, `this build reads version ${WIRE_VERSION}`);
  const position = {
    epoch: Number(epoch),
    copy: Number(copy),
    phase: phase as Phase,
    shard: shard as string,
    offset: Number(offset),
    sequence: Number(sequence),
  };
  if (!Number.isSafeInteger(position.offset) || !Number.isSafeInteger(position.sequence)) {
    throw new MarkError(text, "expected an offset and a sequence of at most 2^53 - 1");
  }
  return position;
}

export class MarkError extends Error {
  override readonly name = "MarkError";
  constructor(text: string, expected: string) {
    super(`not a mark of Sluice: ${JSON.stringify(text.slice(0, 80))}; ${expected}`);
  }
}

/** Every key that Sluice keeps in a destination begins so; no such key is ever copied, swept or compared. */
export const OWN_KEY_PREFIX = "sluice:{";

/** The mark of one slot in a cluster. `tag`: hash tag of the slot. */
export function slotMarkKey(tag: string, pipeline: string, group: string): string {
  return `${OWN_KEY_PREFIX}${tag}}:${pipeline}:${group}`;
}

/**
 * The mark of one lane in a standalone destination, always in database 0, with the tag of slot 0; in a cluster, the lane's
 * watermark on one node, with the tag of the lane's lowest slot there.
 */
export function laneMarkKey(tag: string, pipeline: string, group: string, shard: string, lane: number): string {
  return `${OWN_KEY_PREFIX}${tag}}:${pipeline}:${group}:${shard}.${lane}`;
}
