import { ManualClock } from "@sluice/runtime";
import { recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { LaneReport } from "./lane-report.ts";
import { LaneSession } from "./lane-session.ts";

/** The one record of a lane, and its revisions. */
class LaneRecords {
  value: unknown = null;
  revision = 0;
  #last = 0;

  async get(): Promise<unknown> {
    return Promise.resolve(this.value === null ? null : { value: this.value, revision: this.revision });
  }

  async compareAndSet(key: string, _: unknown, value: unknown, revision: number): Promise<number | null> {
    if (key !== recordKey.lane("p", "main.s0.0")) throw new Error(`another record is written: ${key}`);
    if ((this.value === null ? 0 : this.revision) !== revision) return Promise.resolve(null);
    this.value = value;
    this.revision = ++this.#last;
    return Promise.resolve(this.revision);
  }
}

// Mutation: lane-report.ts, a record that is gone written as if there never was one.
test("what was removed with its pipeline is not written again", async () => {
  const records = new LaneRecords();
  const report = new LaneReport(records as never, "p", "main.s0.0", "w", new ManualClock());
  report.begin(0);
  await report.write();
  expect(records.value).not.toBeNull();
  records.value = null;
  await report.write();
  await report.write();
  expect(records.value).toBeNull();
});

// Mutation: lane-session.ts, a confirmation after which the report is not told where the lane stands.
test("a lane that stands still tells how far a restart would have to go back, once its destination knows it", async () => {
  const records = new LaneRecords();
  const clock = new ManualClock();
  const report = new LaneReport(records as never, "p", "main.s0.0", "w", clock);
  const position = { epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 90, sequence: 7 } as const;
  const destination = { position, safeSequence: 5, confirm: async () => void (destination.safeSequence = 7) };
  const options = { clock, report, signal: new AbortController().signal };
  const session = new LaneSession(destination as never, options as never);
  report.begin(0);
  report.standsAt(destination);
  await report.write();
  expect(records.value).toMatchObject({ offset: 90, sequence: 5 });
  await clock.advance(2_000);
  await session.confirmIfDue();
  await report.write();
  expect(records.value).toMatchObject({ offset: 90, sequence: 7 });
});
