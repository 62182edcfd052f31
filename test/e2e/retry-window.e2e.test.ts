import { NatsServer, RedisServer } from "@sluice/testkit";
import type { PipelineStatus } from "@sluice/wire";
import { expect, test } from "vitest";
import { Services } from "./deployment.ts";
import { expectIdentical } from "./equality.ts";
import { Pair } from "./pair.ts";

const NAME = "orders";
/** For longer than `WINDOW` lasts it is away the second time. `AWAY_SECONDS` makes the first time as long as wanted. */
const AWAY_MS = Number(process.env["AWAY_SECONDS"] ?? 4) * 1_000;
const WINDOW = "6s";

const isSynchronizing = ({ state }: PipelineStatus): boolean => state === "synchronizing";
const isRetrying = ({ state, waits }: PipelineStatus): boolean =>
  state === "retrying" && waits.some(({ endpoint, secondsLeft }) => endpoint.startsWith("destination main") && secondsLeft > 0);

function destinationOf({ destination }: Pair): RedisServer {
  if (destination instanceof RedisServer) return destination;
  throw new Error("not a server");
}

// Mutation: retry-windows.ts, a window that never closes: the pipeline retries for ever.
test("a destination that is away: retrying with a countdown, and on by itself; for longer than its window: failed, until it is resumed", async () => {
  await using pair = await Pair.start(undefined, { kind: "standalone", config: { appendonly: "yes" } });
  await pair.preload(2_000, 81);
  await using nats = await NatsServer.start();
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1 });
  const destination = destinationOf(pair);
  const patient = { source: "720m", destination: `${AWAY_MS / 1_000 + 40}s`, bus: "720m" };
  await services.status.create({ ...pair.pipeline(NAME), retryWindow: patient });
  await services.status.until(NAME, "synchronizing", isSynchronizing);
  const load = await pair.load(82, 500);

  await destination.kill("SIGTERM");
  const first = await services.status.until(NAME, "retrying with a countdown", isRetrying);
  const left = first.waits[0]?.secondsLeft ?? 0;
  await services.status.until(NAME, "the countdown goes on", ({ waits }) => (waits[0]?.secondsLeft ?? left) < left - 1);
  const untilMs = performance.now() + AWAY_MS - 2_000;
  await services.status.until(NAME, "it is away for a while", () => performance.now() >= untilMs, AWAY_MS + 10_000);
  await destination.restart();
  await services.status.until(NAME, "in step again by itself", isSynchronizing);

  const impatient = { ...patient, destination: WINDOW };
  await services.status.create({ ...pair.pipeline(NAME), retryWindow: impatient });
  await services.status.until(NAME, "synchronizing with the shorter window", isSynchronizing);
  await destination.kill("SIGTERM");
  const failed = await services.status.until(NAME, "failed", ({ state }) => state === "failed");
  expect(failed.reason).toMatch(/destination main.*(resume|start)/s);
  await destination.restart();
  expect((await services.status.get(NAME)).state, "a failed pipeline does not go on by itself").toBe("failed");
  expect((await services.status.post(NAME, "resume")).code).toBe(202);
  await services.status.until(NAME, "in step again", isSynchronizing);
  await expectIdentical(NAME, pair, services.status, load);
  expect((await services.status.get(NAME)).shards.map(({ epoch }) => epoch)).toEqual([1]);
});
