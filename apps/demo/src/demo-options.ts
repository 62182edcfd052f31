import { parseArgs } from "node:util";
import { OperatorError } from "@sluice/cli";
import { layouts, type Layout } from "./layout.ts";

export interface DemoOptions {
  readonly layout: Layout;
  /** Keys in the source before anything starts. */
  readonly keys: number;
  /** Commands per second of the load. */
  readonly rate: number;
  /** How long the load goes on once the copy is done. */
  readonly seconds: number;
  /** The same seed makes the same keys and the same commands. */
  readonly seed: number;
  /** Leave everything running at the end, until Ctrl-C. */
  readonly keep: boolean;
}

export const USAGE = `Usage: sluice demo [options]

Starts a source, replicas of it and a destination (redis-server), fills the source, and keeps the destination in step with it
under load. Half-way a writer is killed. At the end every key is compared with the replicas.

  --layout <what> cluster: three primaries to three primaries that cut the slots otherwise (default);
                  standalone: one server to one server
  --keys <n>      keys beforehand (default 100000)
  --rate <n>      commands per second of the load (default 5000)
  --seconds <n>   how long the load goes on after the copy (default 20)
  --seed <n>      the same seed makes the same keys and commands (default: a new one)
  --keep          leave everything running at the end and say how to look around
`;

/** Reads the options of the demo; null where help was asked for. Throws `OperatorError` (usage). */
export function parseDemoOptions(args: readonly string[], newSeed: () => number): DemoOptions | null {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        layout: { ...text, default: layouts[0] },
        keys: text,
        rate: text,
        seconds: text,
        seed: text,
        keep: flag,
        help: { ...flag, short: "h" },
      },
    }));
  } catch (cause) {
    throw new OperatorError((cause as Error).message, USAGE, 2, { cause });
  }
  if (values.help) return null;
  return {
    layout: layoutOf(values.layout),
    keys: whole(values.keys, "--keys", 100_000, 1, 10_000_000),
    rate: whole(values.rate, "--rate", 5_000, 1, 1_000_000),
    seconds: whole(values.seconds, "--seconds", 20, 2, 86_400),
    seed: whole(values.seed, "--seed", newSeed(), 0, 2 ** 31 - 1),
    keep: values.keep,
  };
}

function layoutOf(text: string): Layout {
  const found = layouts.find((layout) => layout === text);
  if (found !== undefined) return found;
  throw new OperatorError(`--layout is ${JSON.stringify(text)}; expected ${layouts.join(" or ")}`, USAGE, 2);
}

function whole(text: string | undefined, option: string, fallback: number, least: number, most: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new OperatorError(`${option} is ${JSON.stringify(text)}; expected a whole number from ${least} to ${most}`, USAGE, 2);
}
