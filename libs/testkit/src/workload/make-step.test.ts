import { describe, expect, test } from "vitest";
import { keyKinds, keyName } from "./key-name.ts";
import { defaultWeights, makeStep } from "./make-step.ts";
import { Random, WeightedChoice } from "./random.ts";
import { StepSource } from "./step-source.ts";

const sourceOf = (seed: number, singleSlot = false): StepSource =>
  new StepSource({ random: new Random(seed), actor: `a${seed}`, keysPerKind: 640, singleSlot });

describe("makeStep", () => {
  test("a transaction has 2 to 20 commands between MULTI and EXEC", () => {
    const families = new WeightedChoice({ ...defaultWeights, transactions: 1000 });
    const source = sourceOf(3);
    const lengths = Array.from({ length: 500 }, () => makeStep(source, families).commands)
      .filter(([first]) => first?.[0] === "MULTI")
      .map((commands) => commands.length - 2);
    expect(lengths.length).toBeGreaterThan(300);
    expect([Math.min(...lengths), Math.max(...lengths)]).toEqual([2, 20]);
  });

  test("the same seed gives the same steps", () => {
    const families = new WeightedChoice({ ...defaultWeights, expiries: 0 });
    const steps = (): string => {
      const source = sourceOf(8);
      return JSON.stringify(Array.from({ length: 300 }, () => makeStep(source, families)));
    };
    expect(steps()).toBe(steps());
  });

  test("with singleSlot every key of a step has the same hash tag", () => {
    const families = new WeightedChoice({ ...defaultWeights, transactions: 50 });
    const source = sourceOf(5, true);
    const kind = new RegExp(`(${[...keyKinds, "counter", "amount", "tally", "ledger", "task"].join("|")})[: ]`);
    for (let round = 0; round < 1000; round++) {
      const { commands } = makeStep(source, families);
      const keys = commands
        .flatMap(([name, ...args]) => args.slice(name === "EVAL" ? 1 : 0).map(String))
        .filter((arg) => kind.test(arg));
      const tags = new Set(keys.map((key) => /^\{(t\d+)\}/.exec(key)?.[1]));
      expect(tags.size, JSON.stringify(commands)).toBeLessThanOrEqual(1);
      expect(tags).not.toContain(undefined);
    }
  });
});

test("key names are distinct and begin with their kind", () => {
  const names = keyKinds.flatMap((kind) => Array.from({ length: 500 }, (_, index) => [kind, keyName(kind, index)] as const));
  expect(new Set(names.map(([, name]) => Buffer.from(name).toString("latin1"))).size).toBe(keyKinds.length * 500);
  for (const [kind, name] of names) expect(Buffer.from(name).toString("latin1").startsWith(kind)).toBe(true);
});
