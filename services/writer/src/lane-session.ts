import type { LaneStream } from "@sluice/bus";
import type { Logger } from "@sluice/runtime";
import type { Position } from "@sluice/wire";
import type { Request } from "./apply/request.ts";
import { StaleMark, type StandaloneDestination } from "./apply/standalone-destination.ts";
import type { LaneReport } from "./lane-report.ts";

export interface LaneSessionOptions {
  readonly pipeline: string;
  readonly group: string;
  readonly shard: string;
  readonly lane: number;
  readonly label: string;
  readonly markKey: string;
  readonly existing: "refuse" | "overwrite" | "replace";
  /** Takes an absolute expiry of the source to that of the destination, in ms. */
  readonly shift: (expireAtMs: number) => number;
  readonly stream: LaneStream;
  readonly report: LaneReport;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly progress: () => void;
}

/** What both phases of a lane share while one connection to the destination lasts: where the lane stands, and how it moves. */
export class LaneSession {
  readonly options: LaneSessionOptions;
  readonly target: StandaloneDestination;
  #position: Position | null;

  constructor(target: StandaloneDestination, options: LaneSessionOptions) {
    this.target = target;
    this.options = options;
    this.#position = target.position;
  }

  get label(): string {
    return this.options.label;
  }

  get markKey(): string {
    return this.options.markKey;
  }

  get shift(): (expireAtMs: number) => number {
    return this.options.shift;
  }

  /** The destination's name for people. */
  get destination(): string {
    return this.target.name;
  }

  /** Where the mark stands, as read back from the destination. */
  get position(): Position | null {
    return this.#position;
  }

  /** Runs the group and moves the mark to `next`, both or neither; see `StandaloneDestination.apply`. */
  async apply(group: Request, next: Position, units: number): Promise<void> {
    const { report, progress } = this.options;
    const bytes = group.bytes;
    try {
      await this.target.apply(this.#position, group, next);
    } catch (cause) {
      if (cause instanceof StaleMark) report.stale();
      throw cause;
    }
    this.#position = next;
    report.applied(next, units, bytes);
    progress();
  }
}
