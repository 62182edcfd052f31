import { silentLog, systemClock } from "@sluice/runtime";
import { RedisServer, waitUntil } from "@sluice/testkit";
import { expect, test } from "vitest";
import { SourceSampler } from "./source-sampler.ts";

test("a replica whose primary is away gives an offset, and none that counts as fresh until the primary is back", async () => {
  await using primary = await RedisServer.start();
  await using replica = await RedisServer.start({ replicaOf: primary });
  await replica.waitForSync();
  const sampler = new SourceSampler(systemClock, silentLog());
  const stopping = new AbortController();
  const ended = sampler.run({ host: "127.0.0.1", port: replica.port }, stopping.signal);
  await waitUntil("the primary is sampled", () => sampler.newest?.isFresh === true);
  const { atMs } = sampler.newest!;
  await primary.kill();
  await waitUntil("the replica stands in twice", () => (sampler.newest?.atMs ?? 0) > atMs + 2_000);
  expect(sampler.newest?.isFresh).toBe(false);
  await primary.restart();
  await waitUntil("the primary is sampled again", () => sampler.newest?.isFresh === true);
  stopping.abort();
  await ended;
});
