import type { Endpoint } from "@sluice/redis";
import { describeFault, type Clock, type Logger } from "@sluice/runtime";
import { controlClient } from "../endpoint/control-client.ts";
import { infoFields } from "../endpoint/info-fields.ts";
import { OffsetRing } from "./offset-ring.ts";

const SAMPLE_EVERY_MS = 1_000;

/** The newest look at a source shard. */
export interface SourceSample {
  /** The source's `master_repl_offset`. */
  readonly offset: number;
  /** History that the offset belongs to; null where the source does not say (before Redis 4.0). */
  readonly replid: string | null;
  /** Wall clock of this process, for people. */
  readonly atMs: number;
  /** False when the source did not answer since. */
  readonly isFresh: boolean;
}

/**
 * Asks one source shard for its offset once a second (INFO replication) until `signal` aborts. A source that is away costs
 * nothing but the samples: it is asked again, and what was sampled before stays known.
 */
export class SourceSampler {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #ring = new OffsetRing();
  #newest: SourceSample | null = null;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  get newest(): SourceSample | null {
    return this.#newest;
  }

  /** Age in seconds of the newest sample whose offset is at or below `appliedOffset`; null before there is one. */
  lagSeconds(appliedOffset: number): number | null {
    return this.#ring.lagSeconds(appliedOffset, this.#clock.monotonicMs());
  }

  /** Never rejects. */
  async run(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const client = controlClient(endpoint, { isLasting: true });
    client.connect().catch(() => undefined);
    const disconnect = (): void => client.disconnect();
    signal.addEventListener("abort", disconnect, { once: true });
    let isAway = false;
    while (!signal.aborted) {
      try {
        this.take(await client.info("replication"));
        if (isAway) this.#log.info("source answers again");
        isAway = false;
      } catch (cause) {
        if (signal.aborted) break;
        if (!isAway && client.status !== "connecting")
          this.#log.info({ cause: describeFault(cause) }, "source can't be asked for its offset");
        isAway = client.status !== "connecting";
        if (this.#newest !== null) this.#newest = { ...this.#newest, isFresh: false };
      }
      await this.#clock.sleep(client.status === "connecting" ? SAMPLE_EVERY_MS / 10 : SAMPLE_EVERY_MS, signal);
    }
    signal.removeEventListener("abort", disconnect);
    client.disconnect();
  }

  /** Takes one answer of `INFO replication`. Throws when it names no offset. */
  take(info: string): void {
    const fields = infoFields(info);
    const offset = Number(fields.get("master_repl_offset") ?? "none");
    if (!Number.isSafeInteger(offset)) throw new Error("INFO replication names no master_repl_offset");
    const replid = fields.get("master_replid") ?? null;
    if (replid !== (this.#newest?.replid ?? replid)) this.#ring.clear();
    this.#ring.add(offset, this.#clock.monotonicMs());
    this.#newest = { offset, replid, atMs: this.#clock.nowMs(), isFresh: true };
  }
}
