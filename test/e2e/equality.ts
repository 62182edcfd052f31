import { compareServers, verifyCounters, type Workload } from "@sluice/testkit";
import { expiryWithGrace } from "@sluice/wire";
import { expect } from "vitest";
import type { Servers, StatusClient } from "./deployment.ts";

/** Stops the load, waits until the lanes have drained, and compares every key of the destination with a replica of the source. */
export async function expectIdentical(name: string, servers: Servers, status: StatusClient, load: Workload): Promise<void> {
  const report = await load.stop();
  expect(report.errorSamples).toEqual([]);
  const { expiryGraceMs } = await status.drained(name);
  await servers.oracle.waitForSync();
  const comparison = await compareServers(servers.oracle, servers.destination, {
    source: servers.source,
    expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, expiryGraceMs),
  });
  expect(comparison.differences).toEqual([]);
  expect(comparison.identical).toBe(true);
  expect(comparison.keys).toBeGreaterThan(1000);
  expect(await verifyCounters(servers.destination.client(), report)).toEqual([]);
}
