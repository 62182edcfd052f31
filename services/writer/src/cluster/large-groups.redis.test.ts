import { encodeCommand, keySlot, slotTag } from "@sluice/redis";
import { ChangeFlag, ChangeRows, formatMark, slotMarkKey, SlotSet, type Position } from "@sluice/wire";
import { afterAll, beforeAll, expect, test } from "vitest";
import { wholeBatch } from "../repair/source-lane.sample.ts";
import { runOf } from "../repair/unit-runs.ts";
import { TamperedCluster } from "./tampered-cluster.sample.ts";

const SLOTS = SlotSet.parse("0-49,16334-16383");
const shift = (ms: number): number => ms + 3_600_001 - (ms % 2);
let destination: TamperedCluster;
beforeAll(async () => {
  destination = await TamperedCluster.start(SLOTS, shift);
});
afterAll(async () => destination[Symbol.asyncDispose]());

// Mutation: group-sender.ts, `#applyAlone` counts a command at every second buffer: one in pieces counts twice, and a reply is waited for that nobody owes.
test("a transaction with a large value whose expiry is shifted in pieces is applied without a wait", async () => {
  const { source, nodes } = destination;
  await destination.reset();
  const { repair } = source.repair("halt");
  const lane = await destination.open(repair);
  await lane.claim({ ...source.position, phase: "snap", offset: 0 });
  await lane.goLive(source.position);
  const key = `{${slotTag(0)}}k`;
  const value = "v".repeat(2 ** 20);
  await source.write(`DEL ${key}`, `SET ${key} ${value} PXAT ${Date.now() + 1_000_000}`);
  await source.write(`SET ${key}2 x`);
  const outcome = await lane.applyChanges(source.group()).then(
    () => "applied",
    (cause: unknown) => String(cause),
  );
  const client = (await nodes.primaryOf(keySlot(Buffer.from(key)))).client();
  expect([outcome, await client.strlen(key), await client.get(`${key}2`)]).toEqual(["applied", value.length, "x"]);
  lane.close();
});

// Mutation: cluster-repairs.ts, `judge` spreads a unit's commands into one call's arguments.
test("a transaction of 130 000 commands whose answer was lost is judged", async () => {
  const { source, nodes } = destination;
  await destination.reset();
  const at: Position = { epoch: 1, copy: 1, phase: "live", shard: "s0", offset: 100, sequence: 1 };
  const first = await destination.open(source.repair("halt").repair);
  await first.claim({ ...at, phase: "snap", offset: 0 });
  await first.goLive(at);
  first.close();
  const tag = slotTag(0);
  const client = (await nodes.primaryOf(0)).client();
  const judged = { offset: 100, sequence: 1 };
  await client.set(slotMarkKey(tag, "p", "main"), formatMark({ ...at, offset: 200, sequence: 2, judged }));
  const count = 130_000;
  const rows = new ChangeRows(count);
  const raw = encodeCommand(["RPUSH", `{${tag}}l`, "x"]);
  for (let row = 0; row < count; row++)
    rows.add(raw.length, 3, 100, 0, 0, (row === 0 ? ChangeFlag.first : 0) | (row === count - 1 ? ChangeFlag.last : 0), 4);
  const body = Buffer.concat(Array.from({ length: count }, () => raw));
  const batch = wholeBatch({ replid: "r", previous: 100, last: 200, rows, body });
  const lane = await destination.open(source.repair("halt").repair);
  expect(lane.unjudged).toEqual({ from: judged, to: { offset: 200, sequence: 2 } });
  await lane.judge([runOf({ slice: { rows, body, from: 0 }, batch, sequence: 2 })]);
  expect(lane.unjudged).toBeNull();
  lane.close();
});

// Mutation: cluster-repairs.ts, `#taintedBy`: of more than 32 failures all commands behind the 32nd count as failed, and a message among them has no keys.
test("a message to subscribers behind many commands that failed does not stop their repair", async () => {
  const { source, nodes } = destination;
  await destination.reset();
  const { repair, told } = source.repair("repair");
  const lane = await destination.open(repair);
  await lane.claim({ ...source.position, phase: "snap", offset: 0 });
  await lane.goLive(source.position);
  const key = `{${slotTag(0)}}k`;
  const client = (await nodes.primaryOf(keySlot(Buffer.from(key)))).client();
  await client.set(key, "planted");
  for (let n = 0; n < 40; n++) await source.write(`RPUSH ${key} ${n}`);
  await source.write(`SET ${key}2 x`, "PUBLISH channel message");
  const outcome = await lane.applyChanges(source.group()).then(
    () => "applied",
    (cause: unknown) => String(cause),
  );
  expect([outcome, await client.llen(key).catch(String), told.repairedKeys]).toEqual(["applied", 40, 2]);
  lane.close();
});
