import { ManualClock, silentLog } from "@sluice/runtime";
import { recordKey, windowsRecord } from "@sluice/wire";
import { expect, test } from "vitest";
import { SampleRecords } from "../desk/records.sample.ts";
import { PipelineBook } from "./pipeline-book.ts";
import { RestingLife } from "./resting-life.ts";

const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };

// Mutation: coordinator-service.ts, no life for what has stopped; resting-life.ts, a write at every look.
test("of a pipeline at rest it is counted how long, and seldom written", async () => {
  const records = new SampleRecords();
  const clock = new ManualClock();
  const book = new PipelineBook();
  records.write(recordKey.spec("p"), { pipeline, desired: "stopped", createdAt: 1 });
  for (const [key, stored] of records.stored) book.take({ key, ...stored });
  let writes = 0;
  records.meddle = () => void writes++;
  const ending = new AbortController();
  const life = new RestingLife(book.get("p")!, { records: records as never, clock, log: silentLog() });
  const ended = life.run(ending.signal, () => undefined);
  for (let seconds = 0; seconds < 3_600; seconds += 5) await clock.advance(5_000);
  const { idleMs } = windowsRecord.parse(records.stored.get(recordKey.windows("p"))?.value);
  expect(idleMs).toBeGreaterThan(3_600_000 - 60_000);
  expect(writes).toBeLessThan(150);
  ending.abort();
  await clock.advance(5_000);
  await ended;
});
