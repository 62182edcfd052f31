import type { Address, Deployment, PrimaryNode } from "@sluice/redis";
import { expect, test } from "vitest";
import { CustodyLook } from "./custody-look.ts";

const node = (id: string, slots = ""): PrimaryNode => ({
  id,
  host: id,
  port: 1,
  slots,
  replicas: [{ id: `r${id}`, host: "r", port: 2 }],
});
const info = (of: string): string =>
  `run_id:run of ${of}\r\nmaster_replid:${of}1\r\nmaster_replid2:0\r\nmaster_repl_offset:5\r\nsecond_repl_offset:-1\r\n`;

/** A cluster that is asked; `asked` tells the order. */
function clusterOf(looks: readonly Partial<Deployment>[], silent: readonly string[] = []) {
  const asked: string[] = [];
  const left = [...looks];
  const connections = {
    text: ({ host }: Address, [command]: readonly string[]): Promise<string> => {
      asked.push(`${command} ${host}`);
      if (silent.includes(host)) return Promise.reject(new Error("silent"));
      return Promise.resolve(command === "INFO" ? info(host) : `${host} :1@2 myself,master - 0 0 1 connected [9-<-a]`);
    },
  };
  const look = (): Promise<Deployment> => {
    asked.push("look");
    const found = left.length > 1 ? left.shift() : left[0];
    const whole = { mode: "cluster" as const, primaries: [], idle: [], nodeIds: [], movingSlots: [], moves: [], trouble: null };
    return Promise.resolve({ ...whole, ...found });
  };
  return { asked, look: new CustodyLook(connections, look) };
}

const both = { primaries: [node("a", "0-8191"), node("b", "8192-16383")], nodeIds: ["a", "b"] };

// Mutations: histories asked for behind the look; no second look where others are found.
test("histories are asked for before the slots are looked at, of the primaries that own them then", async () => {
  const { asked, look } = clusterOf([both]);
  const { custody } = await look.take();
  expect(asked).toEqual(["look", "INFO a", "INFO b", "look"]);
  expect(custody).toMatchObject({
    owners: { a: "0-8191", b: "8192-16383" },
    histories: { a: { replid: "a1", run: "run of a", offset: 5, former: "0", formerEnd: -1 }, b: { replid: "b1" } },
    followed: { ra: "a", rb: "b" },
  });
  asked.length = 0;
  await look.take();
  expect(asked).toEqual(["INFO a", "INFO b", "look"]);
});

test("where others are found each time, where one that owns slots is silent, or the picture does not hold, nothing is told", async () => {
  const other = { ...both, primaries: [node("a", "0-8191"), node("c", "8192-16383")] };
  const unsteady = clusterOf([both, other, both, other]);
  expect((await unsteady.look.take()).custody).toBeNull();
  expect(unsteady.asked.filter((what) => what === "look")).toHaveLength(3);
  expect((await clusterOf([both], ["b"]).look.take()).custody).toBeNull();
  expect((await clusterOf([{ ...both, trouble: "a and b disagree" }]).look.take()).custody).toBeNull();
  expect((await clusterOf([{ ...both, mode: "standalone" }]).look.take()).custody).toBeNull();
});

// Mutation: idle primaries are not asked for what arrives.
test("who owns nothing is asked for what it gets, and left out while it is silent", async () => {
  const withIdle = { ...both, idle: [node("c")], moves: [{ slot: 7, from: "a", to: "b" }] };
  const { custody } = await clusterOf([withIdle]).look.take();
  expect(custody?.moves).toEqual([
    { slot: 7, from: "a", to: "b" },
    { slot: 9, from: "a", to: "c" },
  ]);
  const silent = await clusterOf([withIdle], ["c"]).look.take();
  expect(silent.custody?.moves).toEqual([{ slot: 7, from: "a", to: "b" }]);
  expect(Object.keys(silent.custody?.histories ?? {})).toEqual(["a", "b"]);
});
