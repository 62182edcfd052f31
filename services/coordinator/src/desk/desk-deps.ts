import type { BusFacts, LaneStream, Records } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";

/** What the operator's commands work with. */
export interface DeskDeps {
  readonly records: Records;
  readonly streamOf: (pipeline: string) => LaneStream;
  /** What the bus says of itself; rejects with `Retryable` BUS-001. */
  readonly busFacts: (pipeline: string) => Promise<BusFacts>;
  readonly secretKey: Buffer | null;
  readonly clock: Clock;
  readonly log: Logger;
}
