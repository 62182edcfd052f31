import type { Actor, Clock, Logger } from "@sluice/runtime";
import { clearLeft } from "../desk/clear-left.ts";
import type { DeskDeps } from "../desk/desk-deps.ts";

/** Longer than a deletion that is under way, or an instance's last report, takes. */
const FIRST_MS = 3_000;
const AGAIN_MS = 30_000;

export interface LeftRecordsDeps extends Pick<DeskDeps, "records" | "streamOf"> {
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Removes what is left of a name that has no pipeline: its coordinator ended while it deleted it, and nobody would ask for the deletion of
 * what the API does not show any more; or an instance wrote a last report behind the deletion. To be ended when nothing is left.
 */
export class LeftRecords implements Actor {
  readonly name: string;
  readonly #pipeline: string;
  readonly #deps: LeftRecordsDeps;

  constructor(pipeline: string, deps: LeftRecordsDeps) {
    this.name = `what is left of ${pipeline}`;
    this.#pipeline = pipeline;
    this.#deps = deps;
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const { clock, log } = this.#deps;
    await clock.sleep(FIRST_MS, signal);
    while (!signal.aborted) {
      if ((await clearLeft(this.#pipeline, this.#deps, signal)) === "cleared") {
        log.info({ pipeline: this.#pipeline }, "removed what an earlier deletion left");
      }
      progress();
      await clock.sleep(AGAIN_MS, signal);
    }
  }
}
