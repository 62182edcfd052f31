import { recordKey } from "@sluice/wire";
import { expect, test } from "vitest";
import { besideRival } from "../rival-router.sample.ts";
import { DestinationWatch } from "./destination-watch.ts";

// Mutations: destination-watch.ts, a refused write taken for a success: what another router has written is never put right; written at the revision of then.
test("what another router has written of a destination meanwhile is not written over: the next look is compared with it", async () => {
  const key = recordKey.destination("p", "main");
  const former = { mode: "standalone", nodes: [{ host: "former", port: 1, slots: "0-16383" }], at: 1 };
  const { clock, held, known, deps } = besideRival(key, former);
  const stopping = new AbortController();
  const running = new DestinationWatch("p", "main", known, deps).run(stopping.signal, () => undefined);
  await clock.advance(1_999);
  expect([held.tried, held.value(key)]).toEqual([[[0, false]], former]);
  await clock.advance(1);
  expect(held.tried).toEqual([
    [0, false],
    [1, true],
  ]);
  expect(held.value(key)).toMatchObject({ nodes: [{ host: "b", port: 1 }] });
  stopping.abort();
  await running;
});
