import { silentLog } from "@sluice/runtime";
import { RedisServer, freePort, releasePort, waitUntil } from "@sluice/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { CopyThrottle } from "./copy-throttle.ts";
import { FastClock } from "./fast-clock.sample.ts";
import { probeLatency } from "./latency-probe.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(async () => server[Symbol.asyncDispose]());

const endpointAt = (port: number): { host: string; port: number } => ({ host: "127.0.0.1", port });
const connections = async (): Promise<number> =>
  String(await server.client().client("LIST")).split("name=sluice-latency").length - 1;

// Mutation: latency-probe.ts, a write (SETEX) in place of PING: the source counts changes.
test("source-first: a copy of a source that is above its limit is slowed down and let go again, each with an event; nothing stays open", async () => {
  const log = silentLog();
  const [warn, info] = [vi.spyOn(log, "warn"), vi.spyOn(log, "info")];
  const limits = { sourceLatency: 1_000 };
  const clock = new FastClock(20);
  const signal = new AbortController().signal;
  const throttle = new CopyThrottle({ limits, endpoint: endpointAt(server.port), clock, log, signal });
  // The source as it is before the copy.
  await throttle.pass(1);
  const isEnough = { now: false };
  const reading = (async (): Promise<void> => {
    while (!isEnough.now) {
      await throttle.pass(100_000);
      await clock.sleep(20);
    }
  })();
  const client = server.client();
  const slow = (async (): Promise<void> => {
    while (warn.mock.calls.length === 0) await client.call("DEBUG", "SLEEP", "0.2");
  })();
  await slow;
  expect(warn.mock.calls).toEqual([
    [expect.objectContaining({ limitMs: 1_000 }), "the source answers slowly: the full copy is slowed down"],
  ]);
  await waitUntil("it is let go again", () => info.mock.calls.some(([, text]) => String(text).includes("answers fast again")));
  expect(await connections()).toBe(1);
  isEnough.now = true;
  await reading;
  await throttle.end();
  await throttle.end();
  await waitUntil("its connection is closed", async () => (await connections()) === 0);
  expect(await client.info("persistence")).toContain("rdb_changes_since_last_save:0\r\n");
});

// Mutations seen to fail it: copy-throttle.ts, `#begin` that does not wait, or does not say so.
test("a source whose ordinary answers are above the limit is not held back for that, which is said once", async () => {
  const log = silentLog();
  const warn = vi.spyOn(log, "warn");
  const clock = new FastClock(20);
  const signal = new AbortController().signal;
  const limits = { sourceLatency: 0.001 };
  const throttle = new CopyThrottle({ limits, endpoint: endpointAt(server.port), clock, log, signal });
  await throttle.pass(1);
  await throttle.pass(1);
  await throttle.end();
  expect(warn.mock.calls).toEqual([
    [expect.objectContaining({ limitMs: 0.001 }), expect.stringContaining("before any of the copy is read")],
  ]);
});

test("a source that can't be asked is not measured, which is told once and breaks nothing off", async () => {
  const port = await freePort();
  const log = silentLog();
  const warn = vi.spyOn(log, "warn");
  const onMeasured = vi.fn<(latencyMs: number) => void>();
  const clock = new FastClock(50);
  const stopping = new AbortController();
  const sleep = vi.spyOn(clock, "sleep");
  const probing = probeLatency({ endpoint: endpointAt(port), limitMs: 20, clock, log, onMeasured }, stopping.signal);
  await waitUntil("it was tried three times", () => sleep.mock.calls.length >= 3);
  stopping.abort();
  await probing;
  expect([warn.mock.calls.length, onMeasured.mock.calls.length]).toEqual([1, 0]);
  releasePort(port);
});
