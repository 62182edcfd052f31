import type { LaneStream } from "@sluice/bus";
import { describeFault } from "@sluice/runtime";
import { BatchKind, type GroupCopy } from "@sluice/wire";
import { readTails } from "../lanes/lane-tails.ts";
import { removeNumberedCopy } from "../lanes/void-copies.ts";
import { TermLost, type ShardReport } from "../shard-report.ts";
import type { IntakeOptions } from "./intake.ts";

/** What did not get through is tried again so often. */
const AGAIN_MS = 5_000;

export interface CopyPlace extends Pick<IntakeOptions, "pipeline" | "shard"> {
  readonly stream: LaneStream;
  /** The shard's lanes, in ascending order. */
  readonly lanes: readonly number[];
}

export interface DeadCopiesOptions extends CopyPlace, Pick<IntakeOptions, "cut" | "floor" | "clock" | "log"> {
  readonly report: ShardReport;
  /** The epoch that the shard's lanes go on in. */
  readonly epoch: number;
}

/** Whether every lane's end of a copy is stored. Throws `Retryable` BUS-001, `Halt` BUS-004 where an end is damaged. */
export async function isWholeCopy({ epoch, copy }: GroupCopy, { stream, pipeline, shard, lanes }: CopyPlace): Promise<boolean> {
  const tails = await readTails(stream, pipeline, shard, copy, lanes);
  return tails.every(({ snap }) => snap?.kind === BatchKind.snapshotEnd && snap.epoch === epoch);
}

/**
 * Removes from the stream what is left of copies for groups that were added, where nobody can use it any more: void ones, those of another epoch, and
 * those that broke off. `GroupCopies` does so while changes flow; this is for when none do, and no such copy is under way. They are void in the record
 * first, so that what is half removed is never taken for whole.
 *
 * False where it did not get through: no copy for a group ends the first link. Throws `TermLost`.
 */
export async function removeDeadCopies(options: DeadCopiesOptions, signal: AbortSignal): Promise<boolean> {
  const { report, clock, log } = options;
  try {
    const known = report.record.copies ?? [];
    const copies: GroupCopy[] = [];
    for (const one of known) {
      const isDead = one.phase !== "void" && (await isDeadCopy(one, options));
      copies.push(isDead ? { ...one, phase: "void", retry: null } : one);
    }
    // Where `GroupCopies` has begun meanwhile, it does all this by itself.
    if (signal.aborted || (report.record.copies ?? known) !== known) return false;
    if (copies.some((one, index) => one !== known[index])) await report.update({ copies }, clock.nowMs());
    for (const { copy } of copies.filter(({ phase }) => phase === "void")) {
      if (signal.aborted) return false;
      const removed = await removeNumberedCopy({ ...options, copy });
      if (removed > 0) log.info({ copy, removed }, "a copy is void; its messages are removed");
    }
    return true;
  } catch (cause) {
    if (cause instanceof TermLost) throw cause;
    log.info({ cause: describeFault(cause) }, "messages of void copies are left in the stream");
    return false;
  }
}

/**
 * Does `work` behind `removeDeadCopies`, and where that did not get through, beside it: they may be what fills the stream, and then `work`, which
 * waits until something is stored, would wait for ever. Throws what `work` throws, and `TermLost`.
 */
export async function withoutDeadCopies(
  options: DeadCopiesOptions,
  work: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (await removeDeadCopies(options, signal)) return work();
  const done = new AbortController();
  const over = AbortSignal.any([signal, done.signal]);
  const again = async (): Promise<void> => {
    do await options.clock.sleep(AGAIN_MS, over);
    while (!over.aborted && !(await removeDeadCopies(options, over)));
  };
  // Whose term is lost learns it from its lanes.
  const removing = again().catch(() => undefined);
  try {
    await work();
  } finally {
    done.abort();
    await removing;
  }
}

async function isDeadCopy(copy: GroupCopy, options: DeadCopiesOptions): Promise<boolean> {
  if (copy.epoch !== options.epoch || copy.epoch <= options.floor) return true;
  return copy.phase !== "stored" && !(await isWholeCopy(copy, options));
}
