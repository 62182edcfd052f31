import { Random } from "@sluice/testkit";
import type { Fault } from "./faults/fault.ts";

/** Faults that happen together, after some time without any. */
export interface Round {
  readonly number: number;
  readonly calmMs: number;
  /** One or two, of different grounds unless it is the services'. The second begins `afterMs` after the first. */
  readonly faults: readonly { readonly fault: Fault; readonly afterMs: number; readonly seed: number }[];
}

const PAIR_CHANCE = 0.35;

/** The rounds that a seed stands for, one after the other without end; what each fault does is drawn from a seed of its own. */
export function* scheduleOf(seed: number, faults: readonly Fault[], longestCalmMs: number): Generator<Round, never> {
  const random = new Random(seed);
  for (let number = 1; ; number++) {
    const calmMs = random.between(Math.floor(longestCalmMs / 8), longestCalmMs);
    const first = draw(random, faults);
    const others = faults.filter(({ ground }) => ground !== first.ground || ground === "services");
    const isPair = random.chance(PAIR_CHANCE) && others.length > 0;
    const second = draw(random, isPair ? others : faults);
    const [seedOfFirst, seedOfSecond, afterMs] = [random.uint32(), random.uint32(), random.between(0, 2000)];
    const drawn = [{ fault: first, afterMs: 0, seed: seedOfFirst }];
    if (isPair) drawn.push({ fault: second, afterMs, seed: seedOfSecond });
    yield { number, calmMs, faults: drawn };
  }
}

function draw(random: Random, faults: readonly Fault[]): Fault {
  let point = random.fraction() * faults.reduce((sum, { weight }) => sum + weight, 0);
  for (const fault of faults) {
    point -= fault.weight;
    if (point < 0) return fault;
  }
  throw new RangeError("no fault to draw");
}
