import { Dice } from "../world/dice.ts";

/** How the servers of both sides are laid out. */
export const LAYOUTS = [
  "standalone to standalone",
  "standalone to cluster",
  "cluster to cluster",
  "cluster to standalone",
] as const;
export type Layout = (typeof LAYOUTS)[number];

export const FAULT_KINDS = [
  "kill",
  "suspend",
  "part from bus",
  "part from source",
  "part from destination",
  "cut source",
  "cut destination",
  "bus restarts",
  "bus answers get lost",
  "bus loses its tail",
  "bus is full",
  "source fails over",
  "source splits",
  "source restarts",
  "source slots move",
  "source sends damaged copies",
  "destination fails over",
  "destination restarts",
  "destination is emptied",
  "destination slots move",
  "destination refuses",
  "scripts are flushed",
  "everything is slow",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Something that goes wrong at `atMs`, for `forMs` where it lasts. `dice` decides what else there is to decide. */
export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly forMs: number;
  readonly dice: Dice;
}

/** What happens in a run, as its seed has it. */
export interface Plan {
  readonly seed: number;
  readonly layout: Layout;
  readonly lanes: number;
  readonly ingests: number;
  readonly writers: number;
  /** Keys that the source holds before the pipeline begins. */
  readonly preloaded: number;
  /** Faults and load are over then; from there on everything must come right by itself. */
  readonly calmMs: number;
  /** Steps of the load, and the ms over which they are spread. */
  readonly steps: number;
  readonly loadMs: number;
  readonly faults: readonly Fault[];
}

export interface PlanOptions {
  readonly layouts?: readonly Layout[];
  /** Only these; default: all. */
  readonly kinds?: readonly FaultKind[];
  /** Faults last longer than leases do, and there is always somebody to take over. */
  readonly isPatient?: boolean;
  /** The source writes so much that lanes fall behind. */
  readonly isBusy?: boolean;
  /** Each of the kinds happens, at nearly the same time. A kind may be named more than once. */
  readonly isTogether?: boolean;
}

/** Within so many ms of each other is at nearly the same time. */
const TOGETHER_MS = 400;

export function planOf(seed: number, options: PlanOptions = {}): Plan {
  const { layouts = LAYOUTS, kinds = FAULT_KINDS, isPatient = false, isBusy = false, isTogether = false } = options;
  const dice = new Dice(seed);
  // Long enough in some worlds for leases to be taken over while a fault lasts.
  const calmMs = dice.oneIn(4) || isPatient ? 9_000 : 3_500;
  const count = isTogether ? kinds.length : dice.between(isPatient || isBusy ? 1 : 0, 4);
  const togetherMs = isTogether ? dice.between(300, 2_000) : 0;
  const faults = Array.from({ length: count }, (_, index): Fault => {
    const kind = isTogether ? (kinds[index] as FaultKind) : dice.pick(kinds);
    const atMs = isTogether ? togetherMs + dice.between(0, TOGETHER_MS) : dice.between(300, isPatient ? 3_000 : calmMs - 500);
    const longest = dice.oneIn(3) || isPatient ? calmMs - atMs : Math.min(calmMs - atMs, 2_000);
    return { kind, atMs, forMs: dice.between(isPatient ? 5_000 : 1, longest), dice: dice.fork() };
  });
  return {
    seed,
    layout: dice.pick(layouts),
    lanes: dice.between(1, 3),
    ingests: isPatient ? 2 : dice.between(1, 2),
    writers: isPatient ? 2 : dice.between(1, 2),
    preloaded: dice.between(0, 40),
    calmMs,
    steps: isBusy ? 400 : dice.between(20, calmMs / 60),
    loadMs: dice.between(2_500, calmMs - 200),
    faults: faults.toSorted((a, b) => a.atMs - b.atMs),
  };
}
