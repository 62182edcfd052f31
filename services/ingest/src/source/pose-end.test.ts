import type { LaneStream } from "@sluice/bus";
import { ManualClock, silentLog } from "@sluice/runtime";
import { expect, test } from "vitest";
import { becomesContinuable } from "./pose-end.ts";

const setUp = () => {
  const clock = new ManualClock();
  let looks = 0;
  const tail = async (): Promise<null> => {
    looks++;
    // A bus that is away now and then.
    if (looks % 3 === 0) throw new Error("away");
    return null;
  };
  const stream = { tail } as unknown as LaneStream;
  const endpoint = { host: "127.0.0.1", port: 1 };
  const ending = new AbortController();
  const options = { pipeline: "p", shard: "s0", endpoint, copy: 1, lanes: [0], stream, clock, log: silentLog() };
  return { clock, ending, told: becomesContinuable(options, ending.signal), looks: () => looks };
};

// Mutation seen to fail it: pose-end.ts, without PATIENCE_MS; what `readTails` throws not caught.
test("lanes that do not catch up keep their link: it is waited for 10 min, whatever the bus says, or until the link ends", async () => {
  const patient = setUp();
  await patient.clock.advance(11 * 60_000);
  expect(await patient.told).toBe(false);
  expect(patient.looks()).toBeGreaterThan(600);
  const ended = setUp();
  await ended.clock.advance(5_000);
  ended.ending.abort();
  expect(await ended.told).toBe(false);
  expect(ended.looks()).toBeLessThan(20);
});
