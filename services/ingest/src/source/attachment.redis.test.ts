import { systemClock } from "@sluice/runtime";
import { RedisServer } from "@sluice/testkit";
import { expect, test } from "vitest";
import { findAttachment } from "./attachment.ts";
import { ReplicaLink } from "./replica-link.ts";

const never = new AbortController().signal;

// Mutations seen to fail it: replica-link.ts, `text` that throws what is refused; other-databases.ts, the statistics not asked.
test("a real server whose backlog holds no SELECT: its statistics and its clients tell whether it is in database 0", async () => {
  await using source = await RedisServer.start();
  const replica = await RedisServer.start({ replicaOf: source });
  await replica.waitForSync();
  await replica[Symbol.asyncDispose]();
  const find = async (user: { user?: string; password?: string } = {}): Promise<unknown> => {
    const endpoint = { host: "127.0.0.1", port: source.port, ...user };
    const link = await ReplicaLink.open("s0", endpoint, never);
    const facts = await link.facts().finally(() => link.close());
    return findAttachment("s0", endpoint, facts, systemClock, never).then(
      ({ db }) => db,
      (fault: unknown) => String(fault),
    );
  };
  const client = source.client();
  expect(await find()).toBe(0);
  await client.call("ACL", "SETUSER", "few", "on", ">pw", "+psync", "+replconf", "+ping", "+info");
  expect(await find({ user: "few", password: "pw" })).toContain("does not let us ask CLIENT LIST (+client|list)");
  await client.select(3);
  expect(await find()).toContain("its clients have called SELECT");
  await client.call("CONFIG", "RESETSTAT");
  expect(await find()).toContain("a client is in database 3");
  await client.set("k", "1");
  expect(await find()).toBe(3);
});
