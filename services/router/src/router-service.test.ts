import type { Leases } from "@sluice/bus";
import { recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { besideRival } from "./rival-router.sample.ts";
import { RouterService } from "./router-service.ts";

const lease = { lost: new AbortController().signal, release: async () => Promise.resolve() };
const leases = { acquire: async () => Promise.resolve(lease) } as unknown as Leases;

// Mutations: router-service.ts, a refused write taken for a success: the lane that another router left without a writer never gets one; written at the
// revision of then: the shard changes hands.
test("what another router has assigned meanwhile is not written over: the next decision goes on from it", async () => {
  const key = recordKey.assignment("p");
  // This router would choose the other one, and give the lane away at once.
  const rival = { shards: { s0: "i1" }, lanes: {} };
  const { clock, held, deps } = besideRival(key, rival);
  const stopping = new AbortController();
  const running = new RouterService({ ...deps, records: held.records, leases }).run(stopping.signal, () => undefined);
  for (let beat = 0; beat < 3; beat++) {
    for (const [service, instance] of [
      ["ingest", "i0"],
      ["ingest", "i1"],
      ["writer", "w0"],
    ] as const)
      held.put(recordKey.member(service, instance), { service, instance, pid: 1, startedAt: beat });
    await clock.advance(1_000);
  }
  expect(held.tried).toEqual([
    [0, false],
    [1, true],
  ]);
  expect(held.value(key)).toEqual({ shards: { s0: "i1" }, lanes: { "main.s0.0": "w0" } });
  stopping.abort();
  await running;
});
