import type { LaneStream } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { describeFault, type Clock, type Logger } from "@sluice/runtime";
import { readTails } from "../lanes/lane-tails.ts";
import { resumePoint } from "../lanes/resume-point.ts";
import { readFacts } from "./source-facts.ts";
import { SourceQuestions } from "./source-questions.ts";

/** So often it is looked … */
const LOOK_MS = 1_000;
/** … and for so long: then the link is kept as it is. */
const PATIENCE_MS = 10 * 60_000;

export interface PoseEndOptions {
  readonly pipeline: string;
  readonly shard: string;
  readonly endpoint: Endpoint;
  readonly copy: number;
  readonly lanes: readonly number[];
  readonly stream: LaneStream;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Waits until another link could go on where the lanes end, with every lane's copy stored. False when that does not come within 10 min, or `signal` aborts.
 * Never rejects.
 *
 * What clients write while an RDB is sent comes behind it on the same link, and may be far more than the source's backlog holds. A link that ends before
 * the lanes have it could only be followed by another copy.
 */
export async function becomesContinuable(options: PoseEndOptions, signal: AbortSignal): Promise<boolean> {
  const { shard, endpoint, clock, log } = options;
  const questions = new SourceQuestions(shard, endpoint, signal);
  const untilMs = clock.monotonicMs() + PATIENCE_MS;
  while (!signal.aborted) {
    try {
      if (await isContinuable(options, questions)) return !signal.aborted;
    } catch (cause) {
      log.debug({ shard, cause: describeFault(cause) }, "not known whether the source can go on with another link");
    }
    if (clock.monotonicMs() >= untilMs) {
      log.warn(
        { shard },
        "the source's backlog is too small to change links: CLUSTER SETSLOT fails there while this one lasts",
      );
      return false;
    }
    await clock.sleep(LOOK_MS, signal);
  }
  return false;
}

/** The source holds what follows the lanes, and may write as much again as it keeps at least before it does not. */
async function isContinuable(
  { stream, pipeline, shard, copy, lanes }: PoseEndOptions,
  questions: SourceQuestions,
): Promise<boolean> {
  const point = resumePoint(await readTails(stream, pipeline, shard, copy, lanes));
  if (point === null) return false;
  const { backlog, backlogSizeBytes } = readFacts(String(await questions.ask(["INFO", "replication"])));
  if (backlog === null || point.offset + 1 < backlog.first) return false;
  return (backlog.last - point.offset) * 2 <= backlogSizeBytes;
}
