import { BatchKind, encodeBatch, liveSubject, snapSubject } from "@sluice/wire";
import { expect, test } from "vitest";
import { StoredSubjects } from "../source/stored-subjects.sample.ts";
import { readTails } from "./lane-tails.ts";

const [live, snap] = [liveSubject("p", "s0", 1), snapSubject("p", 1, "s0", 1)];

const fence = (): Buffer => {
  const head = { kind: BatchKind.fence, shard: "s0", epoch: 5, term: 1, previous: 50, last: 50, db: 0, replid: "r" };
  return encodeBatch({ ...head, rows: null, body: Buffer.alloc(0), part: null, besideCopy: false });
};

// Mutation: lane-tails.ts, a message that can't be read counts as none: the lane begins anew, above what is stored in it.
test.each([
  ["changes", live],
  ["copy", snap],
])("loud: where the last message of a lane's %s is damaged its shard halts", async (_, subject) => {
  const stored = new StoredSubjects();
  stored.put(live, fence());
  const damaged = fence();
  damaged[damaged.length - 1]! ^= 1;
  stored.put(subject, damaged);
  await expect(readTails(stored.stream, "p", "s0", 1, [0, 1])).rejects.toMatchObject({
    name: "Halt",
    code: "BUS-004",
    message: `the last message of ${subject} (2) can't be read`,
  });
});
