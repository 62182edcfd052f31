import { keySlot } from "../servers/key-slot.ts";
import type { CounterEffect } from "./counter-book.ts";
import { dataSteps, TASK_GROUP } from "./data-steps.ts";
import type { Step, StepSource } from "./step-source.ts";
import type { Command } from "./command.ts";
import type { WeightedChoice } from "./random.ts";

/** What a workload consists of. */
export type StepFamily = keyof typeof dataSteps | "counters" | "ledgers" | "scripts" | "transactions";

export const defaultWeights: Readonly<Record<StepFamily, number>> = {
  strings: 24,
  hashes: 12,
  lists: 12,
  sets: 8,
  zsets: 8,
  streams: 10,
  hyperloglogs: 2,
  expiries: 6,
  keyspace: 5,
  counters: 8,
  ledgers: 3,
  scripts: 2,
  transactions: 2,
};

const familiesWithOwnKeys: ReadonlySet<StepFamily> = new Set(["counters", "ledgers", "scripts", "streams", "transactions"]);

/** Commands between MULTI and EXEC. */
const TRANSACTION_COMMANDS = { least: 2, most: 20 };

const MIXED_SCRIPT = `redis.call('SET', KEYS[1], ARGV[1])
if redis.call('LLEN', KEYS[2]) < 100 then redis.call('RPUSH', KEYS[2], ARGV[1], ARGV[2]) else redis.call('LTRIM', KEYS[2], 50, -1) end
return redis.call('INCRBY', KEYS[3], ARGV[2])`;

const RANDOM_SCRIPT = `local popped = redis.call('SPOP', KEYS[1])
if popped then redis.call('SADD', KEYS[2], popped) end
redis.call('HSET', KEYS[3], 'popped', popped or 'nothing', 'at', redis.call('TIME')[1])
return popped`;

/** The next step of a workload: a function of the random sequence alone, apart from absolute expiry times. */
export function makeStep(source: StepSource, families: WeightedChoice<StepFamily>): Step {
  const family = families.draw(source.random);
  source.begin(!familiesWithOwnKeys.has(family));
  const step = family === "transactions" ? transaction(source, families) : stepOf(source, family);
  return { ...step, slot: source.slot };
}

/** The steps to take before the first one: they remove what an earlier run of this actor left and create its groups. */
export function preparation(source: StepSource): Step[] {
  const own = ["counter", "amount", "tally", "ledger"].flatMap((use) => source.ownKeys(use));
  return [
    ...own.map((key) => ({ commands: [["UNLINK", key] as const], effects: [], slot: keySlot(key) })),
    ...source.ownKeys("task").map((key) => {
      const commands: Command[] = [
        ["UNLINK", key],
        ["XGROUP", "CREATE", key, TASK_GROUP, "$", "MKSTREAM"],
      ];
      return { commands, effects: [], slot: keySlot(key) };
    }),
  ];
}

function stepOf(source: StepSource, family: Exclude<StepFamily, "transactions">): Step {
  switch (family) {
    case "counters":
      return counter(source);
    case "ledgers": {
      const key = source.ownKey("ledger");
      const number = source.nextNumber(key);
      return { commands: [["RPUSH", key, `${source.actor}:${number}`]], effects: [{ key, form: "ledger", delta: 1, number }] };
    }
    case "scripts":
      return script(source);
    default:
      return { commands: source.random.pick<(s: StepSource) => Command[]>(dataSteps[family])(source), effects: [] };
  }
}

function counter(source: StepSource): Step {
  const delta = source.random.between(-20, 100);
  switch (source.random.between(0, 4)) {
    case 0: {
      const key = source.ownKey("amount");
      return { commands: [["INCRBYFLOAT", key, delta / 4]], effects: [{ key, form: "float", delta: delta / 4 }] };
    }
    case 1: {
      const key = source.ownKey("tally");
      return { commands: [["HINCRBY", key, "n", delta]], effects: [{ key, form: "field", delta }] };
    }
    case 2: {
      const key = source.ownKey("counter");
      return { commands: [["INCRBY", key, delta]], effects: [{ key, form: "integer", delta }] };
    }
    default: {
      const key = source.ownKey("counter");
      return { commands: [["INCR", key]], effects: [{ key, form: "integer", delta: 1 }] };
    }
  }
}

function script(source: StepSource): Step {
  if (source.random.chance(0.5)) {
    const keys = [source.key("set"), source.key("set"), source.key("hash")];
    return { commands: [["EVAL", RANDOM_SCRIPT, 3, ...keys]], effects: [] };
  }
  const key = source.ownKey("counter");
  const delta = source.random.between(1, 50);
  const args = [source.key("string"), source.key("list"), key, source.value(), delta];
  return { commands: [["EVAL", MIXED_SCRIPT, 3, ...args]], effects: [{ key, form: "integer", delta }] };
}

function transaction(source: StepSource, families: WeightedChoice<StepFamily>): Step {
  const length = source.random.between(TRANSACTION_COMMANDS.least, TRANSACTION_COMMANDS.most);
  const commands: Command[] = [];
  const effects: CounterEffect[] = [];
  while (commands.length < length) {
    const family = families.draw(source.random);
    const step = family === "transactions" ? counter(source) : stepOf(source, family);
    if (commands.length + step.commands.length > length) break;
    commands.push(...step.commands);
    effects.push(...step.effects);
  }
  if (commands.length < TRANSACTION_COMMANDS.least) commands.push(["SET", source.key("string"), source.value()]);
  return { commands: [["MULTI"], ...commands, ["EXEC"]], effects };
}
