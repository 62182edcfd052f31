import { Bus } from "@sluice/bus";
import { silentLog } from "@sluice/runtime";
import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import { expect, test } from "vitest";
import { WatchedLane } from "./watched-lane.sample.ts";

const unit = (end: number, ...commands: readonly string[]) => ({ end, commands });

// Mutations seen to fail it: lane-writer.ts, `#place` without its first lines: what was lost is not missed by anybody, and the changes go on.
// `#begin` without `standsAt`: a start that finds the destination away forgets that the lane ever stood, and the next one goes on.
test("a pipeline that never copies halts where its destination lost the lane, now and at every later start, and applies nothing", async () => {
  await using nats = await NatsServer.start();
  await using redis = await RedisServer.start();
  const bus = await Bus.connect({ url: nats.url, name: "test", log: silentLog() });
  const client = redis.client();
  const lane = await WatchedLane.open(bus);
  lane.isCopyless = true;
  await lane.changes(100, unit(110, "INCR n"));
  lane.write("standalone", redis.port);
  await waitUntil("it is live at 110", () => lane.isAt(110));
  await lane.stop();

  lane.write("standalone", 1);
  await waitUntil("a start finds it away", async () => ((await lane.record())?.retry ?? null) !== null);
  await lane.stop();
  await client.flushall();
  for (const start of ["the first", "another"]) {
    lane.write("standalone", redis.port);
    await lane.ended();
    const halt = (await lane.record())?.halt;
    expect(halt?.code, start).toBe("DST-021");
    expect(halt?.message).toBe("main does not hold the mark of the lane any more, and the pipeline never copies what it lost");
    expect(halt?.remedy).toContain("full+changes");
  }
  await lane.changes(110, unit(120, "INCR n"));
  expect([await client.get("n"), await lane.floorAsked()]).toEqual([null, 0]);
  expect(lane.warnings.filter((text) => text.includes("copied anew"))).toEqual([]);
  await lane[Symbol.asyncDispose]();
  await bus.close();
});
