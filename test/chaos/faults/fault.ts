import type { Random } from "@sluice/testkit";
import type { Stage } from "../stage.ts";

export const topologies = ["ss", "sc", "cc"] as const;
/** Source and destination: s for one server, c for a cluster. */
export type Topology = (typeof topologies)[number];

/** What a fault needs for itself; two faults that need the same don't go together, but services are many. */
export type Ground = "services" | "bus" | "source" | "destination";

/** Something that goes wrong in a run. */
export interface Fault {
  readonly name: string;
  readonly ground: Ground;
  /** How often it is drawn, in relation to the others. */
  readonly weight: number;
  /** Default: every topology. */
  readonly topologies?: readonly Topology[];
  /**
   * Does it and resolves when it is over and what it concerns stands again. All that varies comes from `random`, which is this
   * fault's own; `note` says what was done, in a few words.
   */
  run(stage: Stage, random: Random, note: (text: string) => void): Promise<void>;
}
