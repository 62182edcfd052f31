import type { LaneStream } from "@sluice/bus";
import type { Logger } from "@sluice/runtime";
import type { DestinationSpec, Position } from "@sluice/wire";
import { StaleMark } from "./apply/standalone-destination.ts";
import type { ChangeGroup, LaneDestination, SnapshotValue } from "./lane-destination.ts";
import type { LaneReport } from "./lane-report.ts";
import { turn } from "./progress/turn.ts";

export interface LaneSessionOptions {
  readonly pipeline: string;
  readonly shard: string;
  readonly lane: number;
  readonly label: string;
  readonly existing: DestinationSpec["existing"];
  readonly stream: LaneStream;
  readonly report: LaneReport;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly progress: () => void;
  /** Waits until nothing of an earlier history can be applied any more, where that is not for this lane's own marks to ensure. */
  readonly claimed: () => Promise<void>;
}

/** What both phases of a lane share while it is open in a destination: its steps, each with its report. */
export class LaneSession {
  readonly options: LaneSessionOptions;
  readonly destination: LaneDestination;

  constructor(destination: LaneDestination, options: LaneSessionOptions) {
    this.destination = destination;
    this.options = options;
  }

  get label(): string {
    return this.options.label;
  }

  /** See `LaneDestination.position`. */
  get position(): Position | null {
    return this.destination.position;
  }

  async applyChanges(group: ChangeGroup, units: number): Promise<void> {
    await this.#step(() => this.destination.applyChanges(group), units);
  }

  async claim(target: Position, isClean: boolean): Promise<void> {
    await this.#step(() => this.destination.claim(target, isClean), 0);
    await this.options.claimed();
  }

  async applyValues(values: readonly SnapshotValue[], target: Position): Promise<void> {
    await this.#step(() => this.destination.applyValues(values, target), values.length);
    this.options.report.copied(target.offset);
  }

  async goLive(target: Position): Promise<void> {
    await this.#step(() => this.destination.goLive(target), 0);
  }

  async #step(step: () => Promise<number | void>, units: number): Promise<void> {
    const { report, progress } = this.options;
    await turn();
    try {
      const bytes = await step();
      report.applied(units, bytes ?? 0);
    } catch (cause) {
      if (cause instanceof StaleMark) report.stale();
      throw cause;
    } finally {
      report.standsAt(this.destination);
    }
    progress();
  }
}
