import { recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { besideRival } from "../rival-router.sample.ts";
import { SourceWatch } from "./source-watch.ts";

// Mutations: source-watch.ts, a refused write taken for a success: the topology stays what another router has written, and leads to where the source is not; written
// at the revision of then: the floor is lost.
test("what another router has written of a source meanwhile is not written over: the next look is compared with it", async () => {
  const key = recordKey.topology("p");
  const shard = { id: "s0", host: "former", port: 1, slots: "0-16383", floor: 7 };
  const former = { mode: "standalone", lanes: 1, shards: [shard], source: "redis://a:1", events: [] };
  const { clock, held, known, deps } = besideRival(key, former);
  held.put(recordKey.destination("p", "main"), {
    mode: "standalone",
    nodes: [{ host: "b", port: 1, slots: "0-16383" }],
    at: 1,
  });
  const stopping = new AbortController();
  const running = new SourceWatch("p", known, deps).run(stopping.signal, () => undefined);
  await clock.advance(999);
  expect([held.tried, held.value(key)]).toEqual([[[0, false]], former]);
  await clock.advance(1);
  expect(held.tried).toEqual([
    [0, false],
    [1, true],
  ]);
  expect(held.value(key)).toMatchObject({ shards: [{ ...shard, host: "a" }], events: [{}] });
  stopping.abort();
  await running;
});
