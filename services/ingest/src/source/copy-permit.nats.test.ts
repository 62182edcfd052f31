import { Bus } from "@sluice/bus";
import { silentLog, systemClock } from "@sluice/runtime";
import { NatsServer } from "@sluice/testkit";
import { expect, test } from "vitest";
import { CopyPermit } from "./copy-permit.ts";

const log = silentLog();
const never = new AbortController().signal;

test("as many as the limit says hold a permit of a host, whoever they are; the next one gets it when one is given back", async () => {
  await using nats = await NatsServer.start();
  const bus = await Bus.connect({ url: nats.url, name: "permits", log });
  const granted: string[] = [];
  const take = async (holder: string, host: string, limit: number, signal = never): Promise<CopyPermit | null> => {
    const permit = await CopyPermit.take({ records: bus.records, host, limit, holder, clock: systemClock, log }, signal);
    if (permit !== null) granted.push(holder);
    return permit;
  };
  // The holders share a process, as the shards of one instance do.
  const first = await take("i p s0", "10.0.0.1", 2);
  const second = await take("i p s1", "10.0.0.1", 2);
  const third = take("i p s2", "10.0.0.1", 2);
  const elsewhere = await take("i p s3", "::1", 1);
  expect(granted).toEqual(["i p s0", "i p s1", "i p s3"]);
  const leaving = new AbortController();
  const fourth = take("i p s4", "10.0.0.1", 2, leaving.signal);
  leaving.abort();
  expect(await fourth).toBeNull();
  await first?.release();
  await first?.release();
  await third;
  expect(granted.at(-1)).toBe("i p s2");
  for (const permit of [second, await third, elsewhere]) await permit?.release();
  await bus.close();
});

test("the permit of one that died goes to its own successor at once, to another one when it was not renewed for a while", async () => {
  await using nats = await NatsServer.start();
  const dying = await Bus.connect({ url: nats.url, name: "dying", log });
  const bus = await Bus.connect({ url: nats.url, name: "living", log });
  const options = { limit: 1, clock: systemClock, log };
  for (const host of ["h1", "h2"]) await CopyPermit.take({ ...options, host, records: dying.records, holder: "i p s0" }, never);
  await dying.close();
  const successor = await CopyPermit.take({ ...options, host: "h1", records: bus.records, holder: "i p s0" }, never);
  const beganAtMs = performance.now();
  const other = await CopyPermit.take({ ...options, host: "h2", records: bus.records, holder: "i p s1" }, never);
  expect(performance.now() - beganAtMs).toBeGreaterThan(2_000);
  await successor?.release();
  await other?.release();
  await bus.close();
});
