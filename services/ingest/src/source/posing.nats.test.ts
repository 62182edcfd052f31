import { NatsServer, RedisServer, waitUntil } from "@sluice/testkit";
import { expect, test } from "vitest";
import { shardOf, startIntake, storedUpTo, type RunningIntake } from "./running-intake.sample.ts";

/** An intake that has stored all that its source has written. */
async function inStep(nats: NatsServer, source: RedisServer): Promise<RunningIntake> {
  const intake = await startIntake(nats.url, source.port, "i1");
  await waitUntil("it streams", async () => (await shardOf(intake.bus))?.phase === "streaming");
  const client = source.client();
  await client.set("a", "1");
  const offset = Number(/master_repl_offset:(\d+)/.exec(await client.info("replication"))?.[1]);
  await storedUpTo(intake.bus, offset);
  await waitUntil("the source has heard of it", async () =>
    (await client.info("replication")).includes("port=0,state=online,"),
  );
  return intake;
}

// Mutation: replica-link.ts and link-session.ts, the stored offset less one byte acknowledged: WAIT answers 1 after a second. The
// stored offset itself: FAILOVER makes the source our replica.
test("case 39: nobody counts on it: WAIT 1 is not answered, FAILOVER finds nobody to take over, and clients go on", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  const client = source.client();
  const intake = await inStep(nats, source);
  await client.set("last", "write");
  expect(await client.wait(1, 2_500)).toBe(0);
  await client.call("FAILOVER", "TIMEOUT", "500");
  const isOver = async (): Promise<boolean> => (await client.info("replication")).includes("master_failover_state:no-failover");
  await waitUntil("the failover is given up", isOver);
  expect(await client.info("replication")).toContain("role:master");
  expect(await client.set("b", "2")).toBe("OK");
  await intake.stop();
});

test("case 39: with a real replica beside it FAILOVER takes that one, and the former primary is not read any more", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start();
  await using replica = await RedisServer.start({ replicaOf: source });
  await replica.waitForSync();
  const intake = await inStep(nats, source);
  await source.client().call("FAILOVER");
  await waitUntil("the replica is the primary", async () =>
    (await replica.client().info("replication")).includes("role:master"),
  );
  await replica.client().set("c", "3");
  const waiting = await waitUntil("it waits for a primary", async () => {
    const reason = (await shardOf(intake.bus))?.retry?.reason ?? "";
    return reason.includes("is a replica of") ? reason : null;
  });
  expect(waiting).toContain(`127.0.0.1:${source.port} is a replica of 127.0.0.1:${replica.port}`);
  await intake.stop();
});

test("case 39: SHUTDOWN waits for it no longer than the server's own shutdown-timeout", async () => {
  await using nats = await NatsServer.start();
  await using source = await RedisServer.start({ config: { "shutdown-timeout": "2" } });
  const intake = await inStep(nats, source);
  const askedAtMs = performance.now();
  await source.kill("SIGTERM");
  expect(performance.now() - askedAtMs).toBeLessThan(5_000);
  await intake.stop();
});
