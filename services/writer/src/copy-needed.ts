import { Retryable } from "@sluice/runtime";

/**
 * What a lane needs to go on is missing: a batch, a part of a copy, or the message that its mark names. Nothing but a new copy of
 * its shard can mend that. The lane's present epoch is void from here on.
 */
export class CopyNeeded extends Retryable {
  /** Epoch of what can't be built on; every earlier one is void, too. */
  readonly epoch: number;
  constructor(message: string, epoch: number) {
    super("BUS-003", "bus", message);
    this.epoch = epoch;
  }
}
