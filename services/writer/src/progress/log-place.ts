import type { Batch, Position } from "@sluice/wire";
import type { KnownHistory } from "./lane-chain.ts";

/** A lane in a destination, and what its log holds of it. */
export interface LogFacts {
  readonly position: Position;
  /** See `LaneDestination.reached`. */
  readonly reached: number;
  /** The lane's batch at the position's sequence; null where nothing is there. */
  readonly found: Pick<Batch, "epoch" | "previous" | "last"> | "another's" | null;
  /** The lane's last batch; null where there is none. */
  readonly tail: (Pick<Batch, "epoch" | "last"> & { readonly sequence: number }) | null;
  /** The replication id under which `reached` was written, or its first digits; null where nobody knows. */
  readonly replid: string | null;
}

/** Where a lane's log is to be read from. */
export type LogPlace =
  /** `isBehind`: the log lost what led to the position. What comes before it is passed over until ingest has stored it again. */
  | { readonly kind: "read"; readonly from: number; readonly history: KnownHistory | null; readonly isBehind: boolean }
  /** The log was made anew, or has gone on to a later epoch: its copy is on its way, or here. */
  | { readonly kind: "void" }
  /** Nothing that may still come into the log leads on from the position. */
  | { readonly kind: "lost"; readonly why: string };

/**
 * Whether a log still leads on from where a destination stands. A bus may lose messages that it has acknowledged (power loss, an
 * older copy of its store put back); then the same sequences are given to other messages (H7):
 *
 *     stored       1 … 300 … 500          mark: offset 9000, message 500
 *     after loss   1 … 300                ingest goes on at the tail's offset, from the source's backlog
 *     refilled     1 … 300 301 … 480      the same bytes in other batches; offset 9000 is in message 474 now
 *
 * Nothing is missing then, as long as it is the same history: the lane reads from the log's begin, passes over what it has, and
 * goes on at its offset. Which history it is shows at the batch that covers the highest offset applied, see `LaneChain`.
 */
export function logPlace({ position, reached, found, tail, replid }: LogFacts): LogPlace {
  const { epoch, offset, sequence } = position;
  if (tail === null) return { kind: "void" };
  if (tail.epoch < epoch) return { kind: "lost", why: `its log ends in epoch ${tail.epoch}, it stands in epoch ${epoch}` };
  if (position.phase === "snap") return { kind: "read", from: 1, history: null, isBehind: false };
  const isThere =
    found !== null && found !== "another's" && found.epoch === epoch && found.previous <= offset && offset <= found.last;
  if (tail.epoch > epoch && !isThere) return { kind: "void" };
  const isTrimmed = found === null && tail.sequence > sequence;
  const isWhole = tail.epoch > epoch || tail.last >= reached;
  if (isWhole && (isThere || isTrimmed)) {
    const history = replid === null ? null : { upTo: reached, replid };
    return { kind: "read", from: sequence, history, isBehind: false };
  }
  return { kind: "read", from: 1, history: { upTo: reached, replid }, isBehind: true };
}
