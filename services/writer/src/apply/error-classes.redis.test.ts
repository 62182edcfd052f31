import { encodeCommand } from "@sluice/redis";
import { RedisServer } from "@sluice/testkit";
import { ChangeFlag, ChangeRows, formatMark, laneMarkKey, parseMark, type Position } from "@sluice/wire";
import { expect, test } from "vitest";
import type { ChangeGroup } from "../lane-destination.ts";
import { runsOf, SourceLane, wholeBatch } from "../repair/source-lane.sample.ts";
import { ReplyTamperer, type Passing } from "./reply-tamperer.sample.ts";
import { sampleForms } from "../snapshot/value-forms.sample.ts";
import { StandaloneDestination } from "./standalone-destination.ts";
import { StandaloneLane } from "./standalone-lane.ts";
import type { KeyRepair } from "../repair/key-repair.ts";

const MARK = laneMarkKey("x", "p", "main", "s0", 0);
const signal = new AbortController().signal;
const COMMANDS = 100;
/** What the server is told beside a group's commands: SELECT, SET mark, EXEC, WATCH, GET, MULTI. */
const OWN = 6;

/** As servers write them. */
const REPLIES = {
  MOVED: "-MOVED 3999 127.0.0.1:6381",
  ASK: "-ASK 3999 127.0.0.1:6381",
  TRYAGAIN: "-TRYAGAIN Multiple keys request during rehashing of slot",
  CLUSTERDOWN: "-CLUSTERDOWN The cluster is down",
  LOADING: "-LOADING Redis is loading the dataset in memory",
  BUSY: "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
  OOM: "-OOM command not allowed when used memory > 'maxmemory'.",
  READONLY: "-READONLY You can't write against a read only replica.",
  MISCONF: "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
  NOREPLICAS: "-NOREPLICAS Not enough good replicas to write.",
  NOPERM: "-NOPERM this user has no permissions to run the 'rpush' command",
  MASTERDOWN: "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
} as const;

async function open(port: number, repair: KeyRepair): Promise<StandaloneLane> {
  const endpoint = { host: "127.0.0.1", port };
  const target = await StandaloneDestination.open("main", endpoint, MARK, signal);
  const options = { label: "main.s0.0", markKey: MARK, endpoint, owns: () => true, isSole: true, repair, signal };
  return new StandaloneLane(target, { ...options, attempts: `${MARK}:tmp`, forms: sampleForms(), shift: (ms) => ms });
}

/** A group of units of one command each, behind `position`. */
function groupBehind(position: Position, commands: readonly (readonly string[])[]): ChangeGroup {
  const rows = new ChangeRows(1);
  const bodies = commands.map((args) => encodeCommand(args));
  const flags = ChangeFlag.first | ChangeFlag.last;
  for (const [index, body] of bodies.entries()) rows.add(body.length, commands[index]?.length ?? 0, index + 1, 0, 0, flags, 4);
  const previous = position.offset;
  const target = { ...position, offset: previous + commands.length, sequence: position.sequence + 1 };
  const body = Buffer.concat(bodies);
  const batch = wholeBatch({ replid: "r", previous, last: target.offset, rows, body });
  return { slices: [{ slice: { rows, body, from: 0 }, batch, sequence: target.sequence }], target };
}

/** Answers the command at `place` of every group in the server's place: once, or as often as it comes. */
function injector(tamperer: ReplyTamperer) {
  let [seen, place, reply, isOnce, isArmed] = [0, 0, "", true, false];
  tamperer.tamper = ({ args }: Passing) => {
    const name = args[0]?.toUpperCase() ?? "";
    if (!isArmed || (seen === 0 && name !== "INCR" && name !== "RPUSH")) return null;
    if (seen++ !== place) return null;
    isArmed = !isOnce;
    seen = 0;
    return reply;
  };
  return {
    arm: (at: number, text: string, once = true) => ([seen, place, reply, isOnce, isArmed] = [0, at, text, once, true]),
    disarm: () => (isArmed = false),
  };
}

// Mutations: watched-transaction.ts, `result`: an abort taken for an applied group (units skipped); verdict.ts: OOM as "diverged"
// (it halts).
test.each(Object.entries(REPLIES))(
  "case 49: applied-once: %s at every place of a transaction: all applied once, in order",
  async (name, reply) => {
    await using server = await RedisServer.start();
    await using tamperer = await ReplyTamperer.start(server.port);
    await using source = await SourceLane.start(RedisServer);
    const { repair } = source.repair("halt");
    const client = server.client();
    const injected = injector(tamperer);
    await client.set(MARK, formatMark({ epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 0, sequence: 1 }));
    let lane = await open(tamperer.port, repair);
    let number = 0;
    const halted: number[] = [];
    for (let place = 0; place < COMMANDS + OWN; place++) {
      const from = number;
      const commands = Array.from({ length: COMMANDS }, (_, index) =>
        index % 2 === 0 ? ["INCR", "n"] : ["RPUSH", "l", String(from + index)],
      );
      number += COMMANDS;
      injected.arm(place, reply);
      for (;;) {
        const position = lane.position;
        if (position === null || position.offset >= number) break;
        const missing = commands.slice(position.offset - from);
        const outcome = await lane.applyChanges(groupBehind(position, missing)).then(
          () => null,
          (fault: unknown) => fault as { name: string; code: string },
        );
        if (outcome === null) continue;
        if (outcome.name === "Halt") halted.push(place);
        else expect(outcome).toMatchObject({ name: "Retryable", code: "DST-003" });
        lane.close();
        lane = await open(tamperer.port, repair);
        if (lane.unjudged !== null) await lane.judge([]);
      }
      injected.disarm();
    }
    const odd = Array.from({ length: number / 2 }, (_, index) => String(index * 2 + 1));
    expect([await client.get("n"), await client.lrange("l", 0, -1)]).toEqual([String(number / 2), odd]);
    expect(parseMark((await client.get(MARK)) ?? "").offset).toBe(number);
    // Refused once, in the middle, it is taken one by one; refused where nothing can be left out, it halts.
    if (["NOPERM", "MOVED", "ASK", "TRYAGAIN"].includes(name)) expect(halted.every((place) => place >= COMMANDS)).toBe(true);
    else expect(halted).toEqual([]);
    lane.close();
  },
);

// Mutation: verdict.ts: NOPERM as "wait" → tried for ever instead of halting.
test("case 49: loud: a command that stays refused halts exactly there, and what precedes it is applied", async () => {
  await using server = await RedisServer.start();
  await using tamperer = await ReplyTamperer.start(server.port);
  await using source = await SourceLane.start(RedisServer);
  const { repair } = source.repair("repair");
  const client = server.client();
  await client.set(MARK, formatMark({ epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 0, sequence: 1 }));
  const lane = await open(tamperer.port, repair);
  tamperer.tamper = ({ args }) => (args.includes("forbidden") ? REPLIES.NOPERM : null);
  const commands = [
    ["INCR", "n"],
    ["INCR", "n"],
    ["INCR", "forbidden"],
    ["INCR", "n"],
  ];
  const outcome = lane.applyChanges(groupBehind(lane.position as Position, commands));
  await expect(outcome).rejects.toMatchObject({ name: "Halt", code: "DST-002" });
  expect([await client.get("n"), lane.position?.offset]).toEqual(["2", 2]);
  lane.close();
});

// Mutation: watched-transaction.ts, `result`: the refused command is not among the errors (it is skipped unnoticed).
test("loud: a transaction that ran without a command that was refused counts as failed there", async () => {
  await using source = await SourceLane.start(RedisServer);
  await using server = await RedisServer.start();
  await using tamperer = await ReplyTamperer.start(server.port);
  await server.client().set(MARK, formatMark(source.position));
  const lane = await open(tamperer.port, source.repair("halt").repair);
  tamperer.tamper = ({ args }) => (args[0] === "INCR" ? { bare: REPLIES.OOM } : null);
  await source.write("RPUSH list 1");
  await source.write("INCR n");
  await expect(lane.applyChanges(source.group())).rejects.toMatchObject({ name: "Halt", code: "DST-004" });
  lane.close();
});

/** Breaks the connection behind the EXEC that the server has run. */
function loseVerdicts(tamperer: ReplyTamperer): void {
  tamperer.tamper = ({ args }) => (args[0] === "EXEC" ? { drop: true } : null);
}

// Mutations: standalone-lane.ts: `unjudged` always null (the divergence goes unnoticed); lost-verdict.ts: `judgeKey` always "well".
test.each(["halt", "skip", "repair"] as const)(
  "case 17: the reply to EXEC is lost: applied once, and what failed is found out, with %s",
  async (policy) => {
    await using source = await SourceLane.start(RedisServer);
    await using server = await RedisServer.start();
    await using tamperer = await ReplyTamperer.start(server.port);
    const client = server.client();
    await client.set(MARK, formatMark(source.position));
    for (const key of ["set", "text"]) await client.set(key, "planted");
    const first = await open(tamperer.port, source.repair(policy).repair);
    loseVerdicts(tamperer);
    await source.write("SADD set 1");
    await source.write("INCR text");
    await source.write("RPUSH list 1");
    await source.write("INCR n");
    const group = source.group();
    await expect(first.applyChanges(group)).rejects.toMatchObject({ code: "DST-001" });
    tamperer.tamper = () => null;
    const { repair, told } = source.repair(policy);
    const next = await open(tamperer.port, repair);
    expect(next.unjudged?.to.offset).toBe(source.offset);
    const judged = next.judge(runsOf(group));
    if (policy === "halt") {
      await expect(judged).rejects.toMatchObject({ name: "Halt", code: "DST-004" });
      // The operator starts the pipeline again.
      const lifted = await open(tamperer.port, source.repair(policy, { isLifted: true }).repair);
      await lifted.judge(runsOf(group));
      lifted.close();
    } else {
      await judged;
      if (policy === "skip") expect(told.skippedErrors).toBe(2);
      else {
        expect(told.repairedKeys).toBe(2);
        expect([await client.smembers("set"), await client.get("text")]).toEqual([["1"], "1"]);
      }
    }
    next.close();
    const last = await open(tamperer.port, repair);
    expect(last.unjudged).toBeNull();
    await source.write("INCR n");
    await last.applyChanges(source.group());
    expect([await client.get("n"), await client.lrange("list", 0, -1)]).toEqual(["2", ["1"]]);
    last.close();
  },
);
