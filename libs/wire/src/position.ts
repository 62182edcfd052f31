import { SLOT_COUNT } from "./slots.ts";
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
  /** First digits of the replication id under which the source wrote up to `offset`, see `placed`; absent where nobody knows. */
  readonly replid?: string;
  /** Present where something up to `offset` ran without anybody knowing how; absent where everything is known to have run well. */
  readonly judged?: Judged;
}

/**
 * How far the replies of a destination were read and judged when the mark was set. What lies between there and the mark's own
 * offset was run together with the mark (EXEC does not roll back, H16); whether it ran into errors, only the replies told.
 */
export interface Judged {
  readonly offset: number;
  readonly sequence: number;
  /** What the destination itself noted of that span, where it could: a script knows what failed, a transaction does not. */
  readonly failed?: FailedCommands;
}

/** Commands of the span that failed, counted from its first one on the mark's slot. */
export interface FailedCommands {
  /** Ascending; the first 32 where there are more. */
  readonly indexes: readonly number[];
  /** How many there are. */
  readonly count: number;
  /** First error reply, at most 60 characters of it. */
  readonly error: string;
}

/** Redis's own are 40 random hex digits; of another form is what no server is known to have. */
const REPLID = /^[0-9a-f]{40}$/;
/** So many tell two histories of one pipeline apart. */
const REPLID_DIGITS = 8;

/** `position`, brought to `offset` by message `sequence`, in the history `replid` of the source. */
export function placed(position: Position, offset: number, sequence: number, replid: string): Position {
  const { replid: _, ...others } = position;
  const known = REPLID.test(replid) ? { replid: replid.slice(0, REPLID_DIGITS) } : {};
  return { ...others, offset, sequence, ...known };
}

const PHASE_RANK = { snap: 0, live: 1 } as const;

/** One copy of an epoch, and the changes behind it. */
export type MarkedHistory = Pick<Position, "epoch" | "copy">;

/** Negative when `a` is an earlier history than `b`, 0 when it is the same, positive when it is a later one. */
export function compareHistories(a: MarkedHistory, b: MarkedHistory): number {
  return a.epoch - b.epoch || a.copy - b.copy;
}

/** Negative when `a` is behind `b`, 0 when they are the same place, positive when it is ahead. */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.copy - b.copy || PHASE_RANK[a.phase] - PHASE_RANK[b.phase] || a.offset - b.offset;
}

/**
 * The mark as it stands in a destination, with what is not judged behind it:
 *
 *     mark   = version|epoch|copy|phase|shard|offset|sequence [ replid ] [ beside ] [ judged [ failed ] ]
 *     replid = @digits                         8 hex digits, see `Position.replid`
 *     beside = ~digest                         8 hex digits, see `markBeside`; says nothing to who reads a mark
 *     judged = |offset|sequence
 *     failed = |count|index,…|error            appended by the apply script, see `FailedCommands`
 */
export function formatMark(position: Position): string {
  const { epoch, copy, phase, shard, offset, sequence, replid, judged } = position;
  const history = replid === undefined ? "" : `@${replid}`;
  const mark = `${WIRE_VERSION}|${epoch}|${copy}|${phase}|${shard}|${offset}|${sequence}${history}`;
  if (judged === undefined) return mark;
  const { failed } = judged;
  const noted = failed === undefined ? "" : `|${failed.count}|${failed.indexes.join(",")}|${failed.error}`;
  return `${mark}|${judged.offset}|${judged.sequence}${noted}`;
}

/**
 * The mark with another text and the same meaning: something was written beside it, and who still expects the text before is not
 * to do the same. `digest`: 8 hex digits that tell what was written.
 */
export function markBeside(text: string, digest: string): string {
  return text.replace(/^((?:[^|]*\|){6}\d+(?:@[0-9a-f]{8})?)(?:~[0-9a-f]{8})?/, `$1~${digest}`);
}

const HEAD = String.raw`(\d+)\|(\d{1,15})\|(\d{1,15})\|(snap|live)\|(s\d{1,6})\|(\d{1,16})\|(\d{1,16})(?:@([0-9a-f]{8}))?`;
const FAILED = String.raw`\|(\d{1,9})\|(\d{1,9}(?:,\d{1,9}){0,31})\|(.{0,60})`;
const MARK = new RegExp(String.raw`^${HEAD}(?:~[0-9a-f]{8})?(?:\|(\d{1,16})\|(\d{1,16})(?:${FAILED})?)?$`, "s");

/** Reads a mark. Throws a `MarkError` that quotes at most 80 characters of what stands there instead of one. */
export function parseMark(text: string): Position {
  const fields = MARK.exec(text);
  if (fields === null) throw new MarkError(text, `expected version|epoch|copy|snap or live|shard|offset|sequence`);
  const [, version, epoch, copy, phase, shard, offset, sequence, replid, ...rest] = fields;
  if (Number(version) !== WIRE_VERSION) throw new MarkError(text, `this build reads version ${WIRE_VERSION}`);
  const judged = judgedOf(rest);
  const position = {
    epoch: Number(epoch),
    copy: Number(copy),
    phase: phase as Phase,
    shard: shard as string,
    offset: Number(offset),
    sequence: Number(sequence),
    ...(replid === undefined ? {} : { replid }),
    ...(judged === null ? {} : { judged }),
  };
  const numbers = [position.offset, position.sequence, judged?.offset ?? 0, judged?.sequence ?? 0];
  if (!numbers.every((number) => Number.isSafeInteger(number))) {
    throw new MarkError(text, "expected offsets and sequences of at most 2^53 - 1");
  }
  return position;
}

function judgedOf([offset, sequence, count, indexes, error]: readonly (string | undefined)[]): Judged | null {
  if (offset === undefined) return null;
  const judged = { offset: Number(offset), sequence: Number(sequence) };
  if (indexes === undefined) return judged;
  return { ...judged, failed: { count: Number(count), indexes: indexes.split(",").map(Number), error: error ?? "" } };
}

export class MarkError extends Error {
  override readonly name = "MarkError";
  constructor(text: string, expected: string) {
    super(`not a mark of Sluice: ${JSON.stringify(text.slice(0, 80))}; ${expected}`);
  }
}

/** Every key that Sluice keeps in a destination begins so; no such key is ever copied (but see `isTemporaryKey`), swept or compared. */
export const OWN_KEY_PREFIX = "sluice:{";
const OWN_PREFIX = Buffer.from(OWN_KEY_PREFIX);

/** Whether the key in `[start, end)` is one of Sluice's own. */
export function isOwnKey(bytes: Buffer, start = 0, end = bytes.length): boolean {
  // Nearly every key differs in its first byte.
  if (bytes[start] !== OWN_PREFIX[0] || end - start < OWN_PREFIX.length) return false;
  return bytes.compare(OWN_PREFIX, 0, OWN_PREFIX.length, start, start + OWN_PREFIX.length) === 0;
}

const TEMPORARY = /^sluice:\{[^}]*\}:tmp:[^:]+:[^:]+:[^:]+:[\w-]{1,64}$/;

/**
 * Whether the key in `[start, end)` is a `temporaryKey`. It is Sluice's own and nobody's to see, but it travels on with the value that is built in it:
 * a destination that is the source of another pipeline replicates a RENAME, which needs what it renames.
 */
export function isTemporaryKey(bytes: Buffer, start = 0, end = bytes.length): boolean {
  return isOwnKey(bytes, start, end) && end - start < 512 && TEMPORARY.test(bytes.toString("latin1", start, end));
}

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

/**
 * A hash beside the mark `markKey`: keys that were taken from the source as they were there at a later offset than the mark's.
 * Field `database:key`, value `epoch|offset|replid`: the replication id says whose offset it is. A command of the epoch on such a key that ends at or below that offset is not
 * applied: its effect is in the key.
 */
export function repairedKey(markKey: string): string {
  return `${markKey}:repaired`;
}

/**
 * A key under which a lane builds a value before it takes its own key's place: in the same slot (`tag`; on one server, too, which may be the source
 * of a cluster), and on one server in the same database. `attempt`: 1 to 64 of a-z, A-Z, 0-9, `-` and `_`; chunks are not repeatable, so each attempt has another one.
 */
export function temporaryKey(
  tag: string,
  pipeline: string,
  group: string,
  shard: string,
  lane: number,
  attempt: string,
): string {
  return `${attemptsKey(tag, pipeline, group, shard, lane)}:${attempt}`;
}

/**
 * The set of those keys of a lane that may be left where an attempt broke off, each as `keptName` writes a key: on one server in database 0
 * with the tag of slot 0, in a cluster with that of the lane's lowest slot.
 */
export function attemptsKey(tag: string, pipeline: string, group: string, shard: string, lane: number): string {
  return `${OWN_KEY_PREFIX}${tag}}:tmp:${pipeline}:${group}:${shard}.${lane}`;
}

/** On one server the names of kept keys are cut by slot into so many shares, so that a lane reads its own alone, however lanes are cut. */
export const KEPT_SHARES = 64;

/**
 * Beside the mark of a slot, the names of the keys that stood there before the pipeline's first copy, where it says
 * `existing: keep`: a set of `keptName`s, and `keptCount` of how many these are. It is written with the slot's first mark and never changed.
 *
 * On one server, which has no marks of slots, the key with the tag of slot 0 says how far the whole server is: a mark in phase `snap`
 * while names are taken down (`sequence` counts the attempts), in phase `live` when all are (`offset` of them), in `keptShareKey`s.
 */
export function keptKey(tag: string, pipeline: string, group: string): string {
  return `${slotMarkKey(tag, pipeline, group)}:kept`;
}

/** A set of the `keptName`s of some slots on one server, always in database 0; `share`: 0 to `KEPT_SHARES` - 1. */
export function keptShareKey(tag: string, pipeline: string, group: string, share: number): string {
  return `${keptKey(tag, pipeline, group)}.${share}`;
}

/** The share of a slot's names on one server. */
export function keptShareOf(slot: number): number {
  return Math.floor((slot * KEPT_SHARES) / SLOT_COUNT);
}

/** `database:key`, of the destination. */
export function keptName(db: number, key: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${db}:`), key]);
}

/** What `keptName` was made of; null for what is none. */
export function parseKeptName(name: Buffer): { readonly db: number; readonly key: Buffer } | null {
  const colon = name.indexOf(58);
  const db = colon < 1 || colon > 9 ? "" : name.toString("latin1", 0, colon);
  return /^\d+$/.test(db) ? { db: Number(db), key: name.subarray(colon + 1) } : null;
}

/** Among the names of a slot, how many they are: no name begins so. */
export function keptCount(count: number): string {
  return `=${count}`;
}

/** The number that `keptCount` gives; null for a name. */
export function parseKeptCount(member: Buffer): number | null {
  return member[0] === 61 && /^=\d{1,9}$/.test(member.toString("latin1")) ? Number(member.toString("latin1", 1)) : null;
}
