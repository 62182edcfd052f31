import type { LaneStream } from "@sluice/bus";
import { Halt } from "@sluice/runtime";
import { BatchError, decodeBatch, liveSubject, snapSubject, type Batch } from "@sluice/wire";
import type { LaneTail } from "./resume-point.ts";

/** The tail of one subject with the sequence that the next publish must name. */
interface SubjectTail {
  readonly batch: Batch | null;
  readonly sequence: number;
}

/** The tails of a lane's two subjects as they stand in the stream. */
export interface StoredTails extends LaneTail {
  readonly liveSequence: number;
  readonly snapSequence: number;
}

/** Reads the tails of the given lanes of a shard, in their order. Throws `Halt` BUS-004 when one is damaged. */
export async function readTails(
  stream: LaneStream,
  pipeline: string,
  shard: string,
  copy: number,
  lanes: readonly number[],
): Promise<StoredTails[]> {
  const tails: StoredTails[] = [];
  for (const lane of lanes) {
    const live = await subjectTail(stream, liveSubject(pipeline, shard, lane));
    const snap = await subjectTail(stream, snapSubject(pipeline, copy, shard, lane));
    tails.push({ live: live.batch, liveSequence: live.sequence, snap: snap.batch, snapSequence: snap.sequence });
  }
  return tails;
}

async function subjectTail(stream: LaneStream, subject: string): Promise<SubjectTail> {
  const message = await stream.tail(subject);
  if (message === null) return { batch: null, sequence: 0 };
  try {
    return { batch: decodeBatch(message.payload), sequence: message.sequence };
  } catch (cause) {
    if (!(cause instanceof BatchError)) throw cause;
    throw new Halt("BUS-004", `the last message of ${subject} (${message.sequence}) can't be read`, { cause });
  }
}
