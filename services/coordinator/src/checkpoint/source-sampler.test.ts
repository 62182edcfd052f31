import { ManualClock, silentLog } from "@sluice/runtime";
import { expect, test } from "vitest";
import { SourceSampler } from "./source-sampler.ts";

const infoOf = (role: "master" | "slave", offset: number): string =>
  `# Replication\r\nrole:${role}\r\nmaster_replid:r\r\nmaster_repl_offset:${offset}\r\n`;

test("a sample is fresh for 3 s after it was asked for", async () => {
  const clock = new ManualClock();
  const sampler = new SourceSampler(clock, silentLog());
  const askedAt = sampler.ask();
  await clock.advance(2_000);
  sampler.take(infoOf("master", 7), askedAt);
  expect(sampler.newest).toMatchObject({ offset: 7, replid: "r", atMs: askedAt.wallMs, isFresh: true });
  await clock.advance(999);
  expect(sampler.newest?.isFresh).toBe(true);
  await clock.advance(1);
  expect(sampler.newest).toMatchObject({ offset: 7, isFresh: false });
});

test("what a replica has received is no fresh sample of its primary", () => {
  const sampler = new SourceSampler(new ManualClock(), silentLog());
  sampler.take(infoOf("master", 7), sampler.ask());
  sampler.take(infoOf("slave", 9), sampler.ask());
  expect(sampler.newest).toMatchObject({ offset: 9, isFresh: false });
  expect(sampler.lagSeconds(9, 0)).toBe(0);
  sampler.take(infoOf("master", 9), sampler.ask());
  expect(sampler.newest?.isFresh).toBe(true);
});

// Mutation: source-sampler.ts, a lane is judged at the time it is asked about: 0.9 s behind, by the age of its report.
test("a lane's lag is that of the time at which it was heard; one that is late with telling falls behind meanwhile", async () => {
  const clock = new ManualClock();
  const sampler = new SourceSampler(clock, silentLog());
  const sample = (offset: number): void => sampler.take(infoOf("master", offset), sampler.ask());
  sample(100);
  await clock.advance(250);
  sample(200);
  await clock.advance(100);
  const heardAtMs = clock.monotonicMs();
  expect(sampler.lagSeconds(150, heardAtMs)).toBe(0.35);
  for (let offset = 300; offset <= 600; offset += 100) {
    await clock.advance(225);
    sample(offset);
  }
  expect(sampler.lagSeconds(200, heardAtMs)).toBe(0);
  expect(sampler.lagSeconds(150, heardAtMs)).toBe(0.35);
  await clock.advance(1_100);
  expect(sampler.lagSeconds(200, heardAtMs)).toBe(1.1);
  expect(sampler.lagSeconds(150, heardAtMs)).toBe(1.35);
});
