import { endpointName, infoFields, type Endpoint } from "@sluice/redis";
import { describeFault, type Clock, type Logger } from "@sluice/runtime";
import type { Redis } from "ioredis";
import { controlClient } from "../endpoint/control-client.ts";
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
 * Asks one source shard for its offset once a second (INFO replication). A source that is away costs nothing but the samples: it
 * is asked again, and what was sampled before stays known. A replica is asked for its primary, and that one for its offset; where
 * the primary can't be reached the replica's own offset stands in, which is what it has received.
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

  /** Samples until `signal` aborts; never rejects. */
  async run(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const linked = lastingClient(endpoint);
    let primary: { readonly address: string; readonly client: Redis } | null = null;
    const disconnect = (): void => {
      linked.disconnect();
      primary?.client.disconnect();
    };
    signal.addEventListener("abort", disconnect, { once: true });
    let isAway = false;
    while (!signal.aborted) {
      try {
        const own = await linked.info("replication");
        const found = primaryOf(endpoint, own);
        if (primary?.address !== (found === null ? undefined : endpointName(found))) {
          primary?.client.disconnect();
          primary = found === null ? null : { address: endpointName(found), client: lastingClient(found) };
        }
        const answer = primary === null ? own : await primary.client.info("replication").catch(() => own);
        if (signal.aborted) break;
        this.take(answer);
        if (isAway) this.#log.info("source answers again");
        isAway = false;
      } catch (cause) {
        if (signal.aborted) break;
        if (!isAway && linked.status !== "connecting")
          this.#log.info({ cause: describeFault(cause) }, "source can't be asked for its offset");
        isAway = linked.status !== "connecting";
        if (this.#newest !== null) this.#newest = { ...this.#newest, isFresh: false };
      }
      await this.#clock.sleep(linked.status === "connecting" ? SAMPLE_EVERY_MS / 10 : SAMPLE_EVERY_MS, signal);
    }
    signal.removeEventListener("abort", disconnect);
    disconnect();
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

function lastingClient(endpoint: Endpoint): Redis {
  const client = controlClient(endpoint, { isLasting: true });
  client.connect().catch(() => undefined);
  return client;
}

/** Where the primary of a replica is by its own word; null for a primary. */
function primaryOf(linked: Endpoint, info: string): Endpoint | null {
  const fields = infoFields(info);
  const [host, port] = [fields.get("master_host"), Number(fields.get("master_port"))];
  return fields.get("role") === "slave" && host !== undefined && port > 0 ? { ...linked, host, port } : null;
}
