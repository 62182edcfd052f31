import { NatsServer } from "@sluice/testkit";
import { expect, test } from "vitest";
import { Services } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { Pair } from "./pair.ts";

const PIPELINE = "orders";
const MOVED_WITHIN_MS = 10_000;

test("one-writer-per-lane: two of each share a deployment; what the killed one did moves to the other, a sleeper changes nothing", async () => {
  await using nats = await NatsServer.start();
  await using pair = await Pair.start();
  await pair.preload(5_000, 41);
  const load = await pair.load(42, 2_000);
  await using services = await Services.start(nats.url, { ingests: 2, writers: 2 });
  const { status } = services;
  await status.create(pair.pipeline(PIPELINE));
  const first = await status.until(PIPELINE, "synchronizing", ({ state }) => state === "synchronizing");

  const ingest = first.shards[0]?.instance ?? "";
  const heir = ingest === "ingest-1" ? "ingest-2" : "ingest-1";
  const killedAt = performance.now();
  await services.of(ingest).kill();
  const moved = await status.until(
    PIPELINE,
    `the shard moves to ${heir}`,
    ({ shards }) => shards[0]?.instance === heir && shards[0].phase === "streaming",
  );
  expect(performance.now() - killedAt).toBeLessThan(MOVED_WITHIN_MS);

  const sleeper = moved.lanes[0]?.instance ?? "";
  const successor = sleeper === "writer-1" ? "writer-2" : "writer-1";
  const appliedBefore = moved.lanes[0]?.appliedOffset ?? 0;
  const stoppedAt = performance.now();
  services.of(sleeper).signal("SIGSTOP");
  await status.until(
    PIPELINE,
    `the lane moves to ${successor}`,
    ({ lanes }) => lanes[0]?.instance === successor && lanes[0].appliedOffset > appliedBefore + 10_000,
  );
  expect(performance.now() - stoppedAt).toBeLessThan(MOVED_WITHIN_MS);
  services.of(sleeper).signal("SIGCONT");
  await status.until(PIPELINE, `${successor} goes on`, ({ lanes }) => (lanes[0]?.appliedOffset ?? 0) > appliedBefore + 300_000);

  await expectIdentical(PIPELINE, pair, status, load);
  const last = await status.get(PIPELINE);
  expect(last.shards[0]?.epoch, "no hand-over may cost a second full copy").toBe(1);
});
