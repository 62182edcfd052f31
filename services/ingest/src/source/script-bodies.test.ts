import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { carried, setUp, stream, unitsOf } from "./change-reader.sample.ts";
import { ScriptBodies } from "./script-bodies.ts";

const sha = (body: string): string => createHash("sha1").update(body).digest("hex");
const one = "return(1)";
const two = "return(2)";

// Mutations seen to fail it: change-reader.ts, `#script` without the EVALSHA, or without `scripts.add` for EVAL or for SCRIPT LOAD.
test("applied-once: EVALSHA travels as the EVAL that it stands for, wherever the body came from", () => {
  const scripts = new ScriptBodies();
  const fromRdb = "return(3)";
  scripts.add(Buffer.from(fromRdb));
  const lines = [
    `EVAL ${one} 1 k`,
    `evalsha ${sha(one).toUpperCase()} 1 k v`,
    `SCRIPT load ${two}`,
    `EVALSHA ${sha(two)} 0`,
    `EVALSHA ${sha(fromRdb)} 1 l`,
    `EVALSHA ${sha("unknown")} 1 k`,
  ];
  expect(carried(stream(...lines), { scripts }).flatMap(({ commands }) => commands)).toEqual([
    `EVAL ${one} 1 k`,
    `EVAL ${one} 1 k v`,
    `SCRIPT load ${two}`,
    `EVAL ${two} 0`,
    `EVAL ${fromRdb} 1 l`,
    // Only a destination may know it.
    `EVALSHA ${sha("unknown")} 1 k`,
  ]);
});

// Mutation seen to fail it: change-reader.ts, SCRIPT to `#addKeyed` with several lanes, too (PIP-004).
test("with several lanes SCRIPT is remembered and goes nowhere, and scripts go where their keys are", () => {
  const bytes = stream(`SCRIPT LOAD ${one}`, "SCRIPT FLUSH", `EVALSHA ${sha(one)} 2 {a}1 {a}2`);
  const { reader, batchers } = setUp({ lanes: 16 });
  reader.push(bytes);
  expect(unitsOf(batchers).flatMap(({ commands, flags }) => [commands, flags])).toEqual([[`EVAL ${one} 2 {a}1 {a}2`], 0]);
});

// Mutations seen to fail it, in script-bodies.ts: no `#touch` in `bodyOf`; the bytes of what goes are not subtracted.
test("what it holds has a bound in bytes, and what was used longest ago goes first", () => {
  const scripts = new ScriptBodies(1_000);
  const bodies = Array.from({ length: 9 }, (_, n) => `${n}`.repeat(100));
  scripts.add(Buffer.alloc(1_000));
  expect(scripts.bytes).toBe(0);
  for (const body of bodies) {
    scripts.add(Buffer.from(body));
    expect(scripts.bodyOf(sha(bodies[0] as string))?.toString()).toBe(bodies[0]);
    expect(scripts.bytes).toBeLessThanOrEqual(1_000);
  }
  expect(bodies.filter((body) => scripts.bodyOf(sha(body)) !== null)).toEqual([0, 7, 8].map((n) => bodies[n]));
  expect(scripts.bodyOf("__proto__")).toBeNull();
});
