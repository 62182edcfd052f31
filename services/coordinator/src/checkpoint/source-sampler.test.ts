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
  expect(sampler.lagSeconds(9)).toBe(0);
  sampler.take(infoOf("master", 9), sampler.ask());
  expect(sampler.newest?.isFresh).toBe(true);
});
