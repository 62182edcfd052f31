import { NatsServer, waitUntil } from "@sluice/testkit";
import type { PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Services } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { Pair } from "./pair.ts";

const NAME = "orders";
const LEAST = "16MiB";
const LEAST_BYTES = 16 * 2 ** 20;
const isSynchronizing = ({ state }: PipelineStatus): boolean => state === "synchronizing";

// Mutations that were seen to fail this test: pipeline-life.ts, `#gaugeStream` without `stream.limit`: the stream grows beyond it.
// pipeline-life.ts, `trim` without its last argument: the stream stays full when the writer is back, for ten minutes.
test("case 63: the writer is away until the stream is full: the pipeline waits and says so, and goes on without another copy", async () => {
  await using pair = await Pair.start({ kind: "standalone", config: { "repl-backlog-size": "256mb" } });
  await pair.preload(2_000, 91);
  await using nats = await NatsServer.start();
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1 });
  await services.status.create({ ...pair.pipeline(NAME), limits: { streamBytes: LEAST } });
  await services.status.until(NAME, "synchronizing", isSynchronizing);
  const load = await pair.load(92, 300);
  await services.of("writer-1").kill("SIGKILL");
  const client = pair.sourceNodes[0]!.client();
  const value = "v".repeat(50_000);
  for (let index = 0; index < 400; index++) await client.set(`big:${index}`, value);
  const full = await services.status.until(
    NAME,
    "full",
    ({ state, reason }) => state === "retrying" && reason.includes("BUS-005"),
  );
  expect(full.stream.limitBytes).toBe(LEAST_BYTES);
  expect(full.stream.bytes).toBeLessThanOrEqual(LEAST_BYTES);
  const told = ["above 80 %", "the stream is full"];
  await services.status.until(NAME, "it is told", ({ events }) =>
    told.every((wanted) => events.some(({ text }) => text.includes(wanted))),
  );
  await services.add("writer", "writer-2");
  await services.status.until(NAME, "in step again", isSynchronizing);
  await expectIdentical(NAME, pair, services.status, load);
  const after = await services.status.get(NAME);
  expect(after.shards.map(({ epoch }) => epoch)).toEqual([1]);
  await waitUntil(
    "what is applied has left the stream",
    async () => (await services.status.get(NAME)).stream.bytes < LEAST_BYTES * 0.8,
  );
});

// Mutation that was seen to fail this test: state.ts, `isCopying` false: it is said to wait, for room that never comes.
test("a copy that the stream can't hold fails with what it needs, and goes on when it gets it", async () => {
  await using pair = await Pair.start();
  const client = pair.sourceNodes[0]!.client();
  for (let from = 0; from < 400; from += 50) {
    const pipeline = client.pipeline();
    // What LZF can't make smaller.
    for (let index = from; index < from + 50; index++) pipeline.set(`big:${index}`, noise(index));
    await pipeline.exec();
  }
  await using nats = await NatsServer.start();
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1 });
  const tooSmall = { ...pair.pipeline(NAME), limits: { streamBytes: LEAST } };
  await services.status.create({ pipeline: tooSmall, start: true });
  const blocked = await services.status.until(NAME, "blocked", ({ state }) => state === "blocked");
  expect(blocked.reason).toContain("limits.streamBytes");
  const waived = { id: "bus-storage", reason: "to see what becomes of it" };
  await services.status.create({ pipeline: tooSmall, start: true, ignore: [waived] });
  const failed = await services.status.until(NAME, "failed", ({ state }) => state === "failed");
  expect(failed.reason).toMatch(/BUS-006 .*it may hold 17 MB; it needs about \d\d MB/);
  await services.status.create({ ...pair.pipeline(NAME), limits: { streamBytes: "200MB" } });
  await services.status.until(NAME, "synchronizing", isSynchronizing);
  expect(await pair.destination.client().dbsize()).toBeGreaterThanOrEqual(400);
});

function noise(seed: number): Buffer {
  const bytes = Buffer.alloc(60_000);
  let state = seed + 1;
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
