import { silentLog } from "@sluice/runtime";
import { NatsServer } from "@sluice/testkit";
import { expect, test } from "vitest";
import { Bus } from "./bus.ts";

const log = silentLog();

test("a server tells its version and limits; what a stream holds is counted, and asking changes nothing", async () => {
  await using server = await NatsServer.start({ config: "max_payload: 512KB\njetstream: { max_file_store: 1GB }" });
  const bus = await Bus.connect({ url: server.url, name: "test", log });
  const before = await bus.facts("p");
  expect(before).toMatchObject({
    cluster: null,
    knownServers: 1,
    replicas: 1,
    maxPayloadBytes: 512 * 1024,
    refusedSubjects: [],
  });
  expect(before.serverVersion).toMatch(/^\d+\.\d+\.\d+/);
  expect(before.jetStream).toMatchObject({ pipelineBytes: 0, streamCountLimit: null });
  const stream = bus.stream("p");
  // It was not made by asking about it.
  expect(await stream.size()).toBeNull();
  await stream.ensure();
  await stream.append("sluice.p.live.s0.0", new Uint8Array(1_000), 0);
  const facts = await bus.facts("p");
  expect(facts.jetStream?.pipelineBytes).toBeGreaterThan(1_000);
  expect(facts.jetStream?.storedBytes).toBeGreaterThanOrEqual(facts.jetStream?.pipelineBytes ?? 0);
  expect(facts.refusedSubjects).toEqual([]);
  expect((await stream.size())?.messages).toBe(1);
  await bus.close();
});

test("what the user may not do is found out without doing it; a server that is gone has nothing to tell", async () => {
  const deny = '["$JS.API.STREAM.PURGE.>", "sluice.p.>"]';
  const config = `no_auth_user: u
authorization: { users: [{ user: u, password: p, permissions: { publish: { deny: ${deny} }, subscribe: ">" } }] }`;
  await using server = await NatsServer.start({ config });
  const bus = await Bus.connect({ url: server.url, name: "test", log });
  expect((await bus.facts("p")).refusedSubjects).toEqual(["$JS.API.STREAM.PURGE.SLUICE_p", "sluice.p.precheck"]);
  expect((await bus.facts("q")).refusedSubjects).toEqual(["$JS.API.STREAM.PURGE.SLUICE_q"]);
  await server.kill();
  await expect(bus.facts("p")).rejects.toMatchObject({ code: "BUS-001" });
  await bus.close();
});
