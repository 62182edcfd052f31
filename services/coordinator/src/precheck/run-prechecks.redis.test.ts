import { readFileSync } from "node:fs";
import { slotTag } from "@sluice/redis";
import { systemClock, type Clock } from "@sluice/runtime";
import { openClient } from "@sluice/testkit";
import { laneMarkKey, type PrecheckReport, type PrecheckRequest } from "@sluice/wire";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allowUser, asUser, at, CheckedPair, config, mark, type PairChange } from "./checked-pair.sample.ts";
import { precheckIds } from "./run-prechecks.ts";

let pair: CheckedPair;
beforeAll(async () => {
  pair = await CheckedPair.start();
});
afterAll(async () => pair[Symbol.asyncDispose]());

const report = async (request: PrecheckRequest, change?: PairChange): Promise<PrecheckReport> =>
  (await pair.check(request, change)).report;

describe("every check", () => {
  test("passes where all is well, and nothing but questions is asked", async () => {
    await pair.source.client().set("a", "1");
    const seen: string[] = [];
    const monitors = await Promise.all([pair.source, pair.destination].map(async ({ url }) => openClient(url).monitor()));
    for (const monitor of monitors)
      monitor.on("monitor", (_time, args: string[]) => seen.push(args.slice(0, 2).join(" ").toUpperCase()));
    for (const server of [pair.source, pair.destination]) await server.client().call("CONFIG", "RESETSTAT");
    const { results, verdict } = await report({});
    for (const monitor of monitors) monitor.disconnect();
    expect(results.filter(({ level }) => level !== "pass")).toEqual([]);
    expect(verdict).toBe("pass");
    // These are about changes alone, and about filters.
    const others = ["source-attachment", "destination-filters", "destination-excluded-commands"];
    expect(results.map(({ id }) => id)).toEqual(precheckIds.filter((id) => !others.includes(id)));
    for (const { found, expected, fix, why } of results)
      for (const text of [found, expected, fix, why]) expect(text).not.toBe("");
    const questions = "COMMAND EXISTS GET INFO MEMORY PING PUBSUB RANDOMKEY SCAN SELECT TIME TYPE".split(" ");
    const asked = new Set(seen.map((command) => command.split(" ")[0] ?? ""));
    expect([...asked].filter((name) => ![...questions, "ACL", "CONFIG"].includes(name))).toEqual([]);
    // What all of them need is asked once.
    expect(seen.filter((command) => command === "INFO ALL")).toHaveLength(2);
    // MONITOR leaves out what administrators do; the statistics leave out nothing.
    const stats = await Promise.all(
      [pair.source, pair.destination].map(async (server) => server.client().info("commandstats")),
    );
    const names = new Set(
      stats.flatMap((text) => [...text.matchAll(/cmdstat_([^:]+):/g)].map(([, name = ""]) => name.toUpperCase())),
    );
    const administration = [
      "ACL|DRYRUN",
      "ACL|WHOAMI",
      "COMMAND|INFO",
      "CONFIG|GET",
      "CONFIG|RESETSTAT",
      "MEMORY|USAGE",
      "MODULE|LIST",
    ];
    expect([...names].filter((name) => ![...questions, ...administration, "PUBSUB|NUMSUB"].includes(name))).toEqual([]);
  });
});

describe("a run", () => {
  test("tells the highest epoch of all marks, and takes them for its own data", async () => {
    const client = pair.destination.client();
    await client.mset(laneMarkKey(slotTag(0), "p", "main", "s4", 15), mark, "b", "1");
    const { facts, report: told } = await pair.check({ only: ["destination-empty"] });
    await client.flushall();
    expect(facts.highestEpoch).toBe(41);
    expect(told).toMatchObject({ verdict: "pass", results: [{ id: "destination-empty", level: "pass" }] });
  });

  test("a warning is waived with its reason; of fails only those that may be", async () => {
    await config(pair.destination, "appendonly", "no", "maxmemory", "1mb");
    const ignore = ["destination-persistence", "destination-memory", "destination-reachable"].map((id) => ({
      id,
      reason: "known",
    }));
    const only = ["destination-persistence", "destination-memory"];
    const waived = await report({ only, ignore });
    expect(waived.verdict).toBe("pass");
    expect(waived.results.map(({ level, waived: by }) => [level, by?.reason])).toEqual([
      ["fail", "known"],
      ["warn", "known"],
    ]);
    expect((await report({ only })).verdict).toBe("fail");
    await config(pair.destination, "appendonly", "yes", "maxmemory", "0");
    const gone = await report({ only: ["destination-clock"], ignore }, { destination: { endpoint: at({ port: 1 }) } });
    // The check that tells why is in the report although nobody asked for it.
    expect(gone.results.map(({ id, level, waived: by }) => [id, level, by])).toEqual([["destination-reachable", "fail", null]]);
    expect(gone.verdict).toBe("fail");
  });

  test("as the users of docs/security.md can tell everything", async () => {
    const document = readFileSync(new URL("../../../../docs/security.md", import.meta.url), "utf8");
    const rules = [...document.matchAll(/^ACL SETUSER sluice on >PASSWORD (.*)$/gm)].map(([, line = ""]) => line.split(" "));
    expect(rules).toHaveLength(2);
    await allowUser(pair.source, ...(rules[0] ?? []));
    await allowUser(pair.destination, ...(rules[1] ?? []));
    const endpoints = { subject: { source: at(pair.source, asUser) }, destination: { endpoint: at(pair.destination, asUser) } };
    const { results } = await report({}, endpoints);
    expect(results.filter(({ level }) => level !== "pass")).toEqual([]);
  });

  test("is not forbidden by a source's user who may replicate and nothing else", async () => {
    await allowUser(pair.source, "+psync", "+replconf", "+ping", "+info", "+select");
    const { results, verdict } = await report({}, { subject: { source: at(pair.source, asUser) } });
    expect(results.filter(({ level }) => level === "fail")).toEqual([]);
    expect(verdict).toBe("warn");
    expect(results.find(({ id }) => id === "source-repl-timeout")?.found).toMatch(/can't be told: NOPERM/);
  });

  test("names the checks there are where there is none of a name", async () => {
    await expect(report({ only: ["source-nonsense"] })).rejects.toMatchObject({
      status: 422,
      message: 'there is no check "source-nonsense"',
      remedy: expect.stringContaining("source-backlog") as string,
    });
  });

  test("tells of what can't be told: a check that does not end, and questions that are not allowed", async () => {
    const impatient: Clock = {
      ...systemClock,
      sleep: async (ms, signal) => systemClock.sleep(ms === 15_000 ? 200 : ms, signal),
    };
    const never = async (): Promise<never> => new Promise<never>(() => undefined);
    const slow = await report({ only: ["bus-version"] }, { clock: impatient, bus: never });
    expect(slow.results).toMatchObject([
      { id: "bus-reachable", level: "fail", code: "PIP-012", found: "can't be told: no answer in 15 s" },
      { id: "bus-version", level: "warn", found: "can't be told: no answer in 15 s" },
    ]);
    await allowUser(pair.source, "~*", "+info");
    const shut = await report(
      { only: ["source-diskless", "source-big-keys"] },
      { subject: { source: at(pair.source, asUser) } },
    );
    expect(shut.results).toMatchObject([
      { level: "warn", found: expect.stringMatching(/can't be told: NOPERM.*config\|get/) as string },
      { level: "warn", fix: expect.stringContaining("Let the user run what the message names") as string },
    ]);
    const away = await report(
      { only: ["bus-version"] },
      { bus: async () => Promise.reject(new Error("there is no connection to NATS")) },
    );
    expect(away.results).toMatchObject([
      { id: "bus-reachable", level: "fail", code: "BUS-001", fix: expect.stringContaining("SLUICE_NATS_URL") as string },
    ]);
  });

  test("of a server that hangs comes to an end, and says so once", async () => {
    // By what each question may take: the limit of a check never comes.
    const patient: Clock = {
      ...systemClock,
      sleep: async (ms, signal) => systemClock.sleep(ms === 15_000 ? 2 ** 31 - 1 : ms, signal),
    };
    const taken = async (): Promise<number> =>
      Number(/total_connections_received:(\d+)/.exec(await pair.source.client().info("stats"))?.[1]);
    const before = await taken();
    pair.source.pause();
    const { results } = await report({}, { clock: patient }).finally(() => pair.source.resume());
    // Ours, and one: whoever asks again hears what the first one heard.
    expect((await taken()) - before).toBe(2);
    expect(results.filter(({ level }) => level === "fail").map(({ id }) => id)).toEqual(["source-reachable"]);
    expect(results.some(({ id }) => id === "destination-persistence")).toBe(true);
  });
});
