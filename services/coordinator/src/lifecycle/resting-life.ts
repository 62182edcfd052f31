import type { Records } from "@sluice/bus";
import type { Actor, Clock, Logger } from "@sluice/runtime";
import type { KnownPipeline } from "./pipeline-book.ts";
import { WindowKeeper } from "./window-keeper.ts";

const LOOK_EVERY_MS = 5_000;
/** There may be many, and for years: half of the grace that is left for what comes behind a start. */
const WRITE_EVERY_MS = 30_000;

/** What is left of the life of a pipeline that has stopped: it is counted for how long, since the expiries in its destinations go on. */
export class RestingLife implements Actor {
  readonly name: string;
  readonly #known: KnownPipeline;
  readonly #clock: Clock;
  readonly #windows: WindowKeeper;

  /** `known` is kept up to date by the caller. */
  constructor(known: KnownPipeline, deps: { readonly records: Records; readonly clock: Clock; readonly log: Logger }) {
    this.name = `pipeline ${known.name} at rest`;
    this.#known = known;
    this.#clock = deps.clock;
    this.#windows = new WindowKeeper(known, { ...deps, writeEveryMs: WRITE_EVERY_MS }, 0);
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    while (!signal.aborted) {
      const { spec } = this.#known;
      if (spec?.value.desired === "stopped") {
        await this.#windows.look(spec.value, spec.revision, { shards: [], lanes: [], watches: [] });
      }
      progress();
      await this.#clock.sleep(LOOK_EVERY_MS, signal);
    }
  }
}
