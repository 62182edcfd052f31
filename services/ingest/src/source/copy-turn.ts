import { printable } from "@sluice/runtime";
import type { RetryRecord } from "@sluice/wire";
import { CopyPermit } from "./copy-permit.ts";
import type { IntakeOptions } from "./intake.ts";

/** A shard that waits longer than this for its turn to copy says so. */
const TURN_UNTOLD_MS = 5_000;

export interface CopyTurnOptions extends Pick<
  IntakeOptions,
  "pipeline" | "shard" | "gate" | "endpoint" | "instance" | "bus" | "clock" | "log" | "concurrentFullSyncs"
> {
  /** What tells several copies of one shard apart; absent for the one that an epoch begins with. */
  readonly as?: string;
  /** What is waited for, when it is; null where it is asked for the permit, of which nothing else need be told yet. */
  readonly tell: (retry: RetryRecord | null) => void;
}

/**
 * The permit for a full copy, in the window that copies may start in: others may have copied beyond it. Null when `signal` aborts first.
 * Throws `Retryable` BUS-001.
 */
export async function takeCopyTurn(options: CopyTurnOptions, signal: AbortSignal): Promise<CopyPermit | null> {
  const { gate, shard, tell } = options;
  for (;;) {
    await gate?.inWindow(shard, signal, tell);
    const permit = await takePermit(options, signal);
    if (permit === null || signal.aborted || gate?.isInWindow !== false) return permit;
    await permit.release();
  }
}

async function takePermit(options: CopyTurnOptions, signal: AbortSignal): Promise<CopyPermit | null> {
  const { bus, clock, log, endpoint, instance, pipeline, shard, concurrentFullSyncs, as, tell } = options;
  const holder = [instance, pipeline, shard, ...(as === undefined ? [] : [as])].join(" ");
  tell(null);
  const decided = new AbortController();
  const telling = tellTurn(options, AbortSignal.any([signal, decided.signal]));
  try {
    return await CopyPermit.take(
      { records: bus.records, host: endpoint.host, limit: concurrentFullSyncs, holder, clock, log },
      signal,
    );
  } finally {
    decided.abort();
    await telling;
  }
}

/** Says what is waited for, unless `signal` aborts soon. */
async function tellTurn({ clock, shard, endpoint, tell }: CopyTurnOptions, signal: AbortSignal): Promise<void> {
  const since = clock.nowMs();
  await clock.sleep(TURN_UNTOLD_MS, signal);
  if (signal.aborted) return;
  const reason = `waits for its turn to copy from ${printable(endpoint.host)}`;
  tell({ endpoint: `source ${shard}`, since, reason, isTurn: true });
}
