import type { LaneStream } from "@sluice/bus";
import { Stopped } from "@sluice/runtime";
import { BatchKind, ChangeRows, type Batch } from "@sluice/wire";
import type { LaneDestination, UnjudgedSpan } from "../lane-destination.ts";
import { firstAbove } from "../live-phase.ts";
import type { Projection } from "../project/projection.ts";
import type { Rewriting } from "../rewrite/rewriting.ts";
import { LaneChain } from "../progress/lane-chain.ts";
import { LaneLog } from "../progress/lane-log.ts";
import { PartAssembly } from "../progress/part-assembly.ts";
import type { UnitRun } from "./unit-runs.ts";

export interface SpanSource {
  readonly stream: LaneStream;
  readonly subject: string;
  readonly shard: string;
  /** What the destination gets of the units, as when they were applied; everything where absent. */
  readonly projection?: Projection;
  /** As when they were applied. */
  readonly rewriting?: Rewriting;
  readonly label: string;
  readonly signal: AbortSignal;
}

/** Lets a destination judge what an earlier writer left unjudged there, with the units read again from the lane. */
export async function judgeSpan(destination: LaneDestination, source: SpanSource): Promise<void> {
  const { unjudged, position } = destination;
  if (unjudged === null || position === null) return;
  await destination.judge(await readSpan(unjudged, position.epoch, source));
}

/** The units of the span; null where the lane does not hold them all any more. Throws `Stopped` when aborted. */
async function readSpan(span: UnjudgedSpan, epoch: number, source: SpanSource): Promise<UnitRun[] | null> {
  const { stream, subject, shard, projection, rewriting, label, signal } = source;
  const { from, to } = span;
  const runs: UnitRun[] = [];
  const parts = new PartAssembly();
  const chain = new LaneChain({ epoch, offset: from.offset });
  const log = await LaneLog.open(stream, subject, shard, from.sequence, signal);
  try {
    for (;;) {
      const next = await log.next();
      if (next === null) throw new Stopped("SLU-003", "stopped before the lane's last units were judged");
      const { batch, sequence } = next;
      if (sequence > to.sequence) return null;
      if (batch.kind === BatchKind.fence) parts.clear();
      const step = chain.next(batch);
      if (step.kind !== "apply" && step.kind !== "skip") return null;
      if (step.kind === "apply") {
        const read = batch.part === null ? sliceOf(batch) : parts.add(batch);
        if (read !== null) {
          const slice = { ...read, from: firstAbove(read.rows, chain.offset - batch.previous) };
          const origin = { label, batch };
          const wanted = projection === undefined ? slice : projection.project(slice, origin);
          const whole = rewriting === undefined ? wanted : rewriting.rewrite(wanted, origin);
          const until = firstAbove(whole.rows, to.offset - batch.previous);
          runs.push({ slice: whole, batch, sequence, from: whole.from, until });
          chain.advance(batch.last);
        }
      }
      if (chain.offset >= to.offset) return runs;
      if (sequence === to.sequence) return null;
    }
  } finally {
    await log.close();
  }
}

function sliceOf({ rows, body }: Batch): { rows: ChangeRows; body: Buffer } {
  return { rows: rows instanceof ChangeRows ? rows : new ChangeRows(0), body };
}
