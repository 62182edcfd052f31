import { compareDeployments, RedisServer, verifyCounters, type CompareOptions, type Workload } from "@sluice/testkit";
import { expiryWithGrace } from "@sluice/wire";
import { expect } from "vitest";
import type { StatusClient } from "./deployment.ts";
import type { Pair, Side } from "./pair.ts";

export interface IdenticalOptions extends Pick<CompareOptions, "expiryMayBeLaterByMs"> {
  /** Who has taken the place of the pair's destination. */
  readonly destination?: Side;
}

/** Stops the load, waits until the lanes have drained, and compares every key of the destination with replicas of the source. */
export async function expectIdentical(
  name: string,
  pair: Pair,
  status: StatusClient,
  load: Workload,
  { destination = pair.destination, ...options }: IdenticalOptions = {},
): Promise<void> {
  const report = await load.stop();
  expect(report.errorSamples).toEqual([]);
  const { expiryGraceMs } = await status.drained(name);
  const comparison = await compareDeployments(await pair.oracle(), destination, {
    ...options,
    source: pair.source,
    expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, expiryGraceMs),
  });
  expect(comparison.differences).toEqual([]);
  expect(comparison.identical).toBe(true);
  expect(comparison.keys).toBeGreaterThan(1000);
  expect(await verifyCounters(destination instanceof RedisServer ? destination.client() : destination, report)).toEqual([]);
}
