import { systemClock } from "@sluice/runtime";
import { NatsServer, rdbPath, RecordedPrimary, waitUntil, type RecordedPrimaryOptions } from "@sluice/testkit";
import { expect, test } from "vitest";
import { sets, shardOf, startIntake, storedUpTo } from "./running-intake.sample.ts";

// Mutations: stream-fault.ts, no `noCopyFault` (SRC-001 says nothing of the copy); intake.ts, `#tries.ended` taken out (the source is asked
// every few seconds for ever).
test("a source that promises a full copy and closes the link: a fault of its own, and after three tries it is left alone", async () => {
  await using nats = await NatsServer.start();
  await using primary = await RecordedPrimary.start({ version: "valkey-9.1.2", recording: "replication-refused" });
  const intake = await startIntake(nats.url, primary.port, "i1");
  const retry = await waitUntil("it is left alone", async () => {
    const found = (await shardOf(intake.bus))?.retry;
    return found?.reason.includes("full copies in a row") === true ? found : null;
  });
  expect(retry.reason).toContain("promised a full copy, and closed the link before the first byte of it");
  expect(primary.fullSyncs).toBe(3);
  await intake.stop();
});

// Mutations: link-session.ts, `#endPose` without `becomesContinuable` (the copy is void and made again); `#endsPose` false (the link stays);
// intake.ts, `#follow` not called again (nothing is linked).
test("Valkey 9 in a cluster: behind the copy, once it is stored, a link that says no version takes the place of the one that did", async () => {
  await using nats = await NatsServer.start();
  const links: (string | undefined)[][] = [];
  const inPlaceOf: RecordedPrimaryOptions["inPlaceOf"] = ([name, option, value]) => {
    if (name === "REPLCONF" && option === "listening-port") links.push([]);
    if (name === "REPLCONF" && option === "version") links.at(-1)?.push(value);
    return null;
  };
  await using primary = await RecordedPrimary.start({ version: "valkey-9.1.2", isCluster: true, inPlaceOf });
  const begunAtMs = systemClock.monotonicMs();
  const intake = await startIntake(nats.url, primary.port, "i1");
  await waitUntil("it is continued", () => primary.partialSyncs > 0);
  expect(await storedUpTo(intake.bus, primary.finalOffset)).toMatchObject({ epoch: 1, retry: null, halt: null });
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([1, 1]);
  expect(links.at(-1)).toEqual([]);
  expect(links.flat()).toEqual(["9.1.2"]);
  expect(systemClock.monotonicMs() - begunAtMs).toBeLessThan(20_000);
  await intake.stop();
});

// Mutations: pose-end.ts, `isContinuable` true as soon as there is a point, which is when the copy is stored (a second copy);
// never true (the link stays).
test("the same where more was written during the copy than the backlog holds: its link lasts until the lanes have caught up", async () => {
  await using nats = await NatsServer.start();
  const options = {
    version: "valkey-9.1.2",
    isCluster: true,
    rdb: rdbPath("valkey-9.1.2"),
    stream: sets(0, 4_000, 8_000),
  } as const;
  await using primary = await RecordedPrimary.start(options);
  primary.forgetBefore(primary.finalOffset - 100);
  const intake = await startIntake(nats.url, primary.port, "i1", { rules: { onBacklogLost: "halt" } });
  await waitUntil("it is linked again, or halts", async () => {
    const halt = (await shardOf(intake.bus))?.halt ?? null;
    return primary.partialSyncs + primary.fullSyncs > 1 || halt !== null;
  });
  expect(await shardOf(intake.bus)).toMatchObject({ epoch: 1, halt: null });
  await storedUpTo(intake.bus, primary.finalOffset);
  expect([primary.fullSyncs, primary.partialSyncs]).toEqual([1, 1]);
  await intake.stop();
});
