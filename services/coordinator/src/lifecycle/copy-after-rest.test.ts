import { pipelineSchema, recordKey, topologyRecord } from "@sluice/wire";
import { beforeEach, expect, test } from "vitest";
import { SampleRecords } from "../desk/records.sample.ts";
import { copyAfterRest } from "./copy-after-rest.ts";

const file = {
  name: "p",
  source: { url: "redis://a:1" },
  destinations: [{ url: "redis://b:1", existing: "overwrite" }],
  retryWindow: "1h",
};
const shards = [{ id: "s0", host: "a", port: 1, slots: "0-16383", floor: 2 }];

let records: SampleRecords;
beforeEach(() => {
  records = new SampleRecords();
  records.write(recordKey.topology("p"), { mode: "standalone", lanes: 1, shards, events: [] });
  records.write(recordKey.epoch("p"), { epoch: 7 });
});
const rested = (idleMs: number): void => void records.write(recordKey.windows("p"), { spec: 1, windows: [], idleMs });
const floor = (): number | undefined =>
  topologyRecord.parse(records.stored.get(recordKey.topology("p"))?.value).shards[0]?.floor;
const begin = async (mode: "full+changes" | "changes") =>
  copyAfterRest("p", pipelineSchema.parse({ ...file, mode }), records, 5);

test("what has rested for longer than its expiries bear is copied anew, whatever checked it meanwhile", async () => {
  expect([await begin("full+changes"), floor()]).toEqual([null, 2]);
  rested(60_000);
  expect([await begin("full+changes"), floor()]).toEqual([null, 2]);
  rested(86_400_000);
  expect([await begin("full+changes"), floor()]).toEqual([null, 7]);
});

test("what never copies can't go on then", async () => {
  rested(86_400_000);
  expect(await begin("changes")).toMatchObject({ code: "SRC-019", at: 5 });
  expect(floor()).toBe(2);
});
