import { endpointName, infoFields, type Endpoint } from "@sluice/redis";
import { describeFault, type Clock, type Logger } from "@sluice/runtime";
import type { Redis } from "ioredis";
import { controlClient } from "../endpoint/control-client.ts";
import { OffsetRing } from "./offset-ring.ts";

const SAMPLE_EVERY_MS = 250;
/** What a lane says of itself is so old before it says it anew: by so much its age is no lag. */
const REPORT_EVERY_MS = 1_000;
const CONNECTING_MS = 100;
const AWAY_MS = 1_000;
/** Longest age of a sample that counts as what the source says now. */
const FRESH_MS = 3_000;

/** When an answer was asked for: the source had written no less than it names by then. */
export interface AskedAt {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** The newest look at a source shard. */
export interface SourceSample {
  /** The source's `master_repl_offset`. */
  readonly offset: number;
  /** History that the offset belongs to; null where the source does not say (before Redis 4.0). */
  readonly replid: string | null;
  /** Wall clock of this process when it was asked for, for people. */
  readonly atMs: number;
  /** The primary itself said it less than 3 s ago, and no question failed since. */
  readonly isFresh: boolean;
}

interface KeptSample extends Omit<SourceSample, "isFresh"> {
  readonly askedAtMs: number;
  readonly isOfPrimary: boolean;
}

/**
 * Asks one source shard for its offset four times a second (INFO replication). A source that is away costs nothing but the samples: it
 * is asked again, and what was sampled before stays known. A replica is asked for its primary, and that one for its offset; where
 * the primary can't be reached the replica's own offset stands in, which is what it has received: it tells a lag and is never fresh.
 */
export class SourceSampler {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #ring = new OffsetRing();
  #newest: KeptSample | null = null;
  #isAnswering = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  get newest(): SourceSample | null {
    const kept = this.#newest;
    if (kept === null) return null;
    const { offset, replid, atMs, askedAtMs, isOfPrimary } = kept;
    const isFresh = this.#isAnswering && isOfPrimary && this.#clock.monotonicMs() - askedAtMs < FRESH_MS;
    return { offset, replid, atMs, isFresh };
  }

  /**
   * Age in seconds of the newest sample whose offset is at or below `appliedOffset`, at the time when the lane told it
   * (`heardAtMs`, monotonic); null before there is one. A lane that is late with telling falls behind meanwhile.
   */
  lagSeconds(appliedOffset: number, heardAtMs: number): number | null {
    return this.#ring.lagSeconds(appliedOffset, Math.max(heardAtMs, this.#clock.monotonicMs() - REPORT_EVERY_MS));
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
    // What another server said before says nothing of this one.
    this.#isAnswering = false;
    let isAway = false;
    while (!signal.aborted) {
      try {
        let askedAt = this.ask();
        const own = await linked.info("replication");
        const found = primaryOf(endpoint, own);
        if (primary?.address !== (found === null ? undefined : endpointName(found))) {
          primary?.client.disconnect();
          primary = found === null ? null : { address: endpointName(found), client: lastingClient(found) };
        }
        if (primary !== null) askedAt = this.ask();
        const answer = primary === null ? own : await primary.client.info("replication").catch(() => own);
        if (signal.aborted) break;
        this.take(answer, askedAt);
        if (isAway) this.#log.info("source answers again");
        isAway = false;
      } catch (cause) {
        if (signal.aborted) break;
        if (!isAway && linked.status !== "connecting")
          this.#log.info({ cause: describeFault(cause) }, "source can't be asked for its offset");
        isAway = linked.status !== "connecting";
        this.#isAnswering = false;
      }
      await this.#clock.sleep(linked.status === "connecting" ? CONNECTING_MS : isAway ? AWAY_MS : SAMPLE_EVERY_MS, signal);
    }
    signal.removeEventListener("abort", disconnect);
    disconnect();
  }

  /** The time of a question that is put now. */
  ask(): AskedAt {
    return { wallMs: this.#clock.nowMs(), monotonicMs: this.#clock.monotonicMs() };
  }

  /** Takes one answer of `INFO replication`. Throws when it names no offset. */
  take(info: string, { wallMs, monotonicMs }: AskedAt): void {
    const fields = infoFields(info);
    const offset = Number(fields.get("master_repl_offset") ?? "none");
    if (!Number.isSafeInteger(offset)) throw new Error("INFO replication names no master_repl_offset");
    const replid = fields.get("master_replid") ?? null;
    if (replid !== (this.#newest?.replid ?? replid)) this.#ring.clear();
    this.#ring.add(offset, monotonicMs);
    const isOfPrimary = fields.get("role") !== "slave";
    this.#newest = { offset, replid, atMs: wallMs, askedAtMs: monotonicMs, isOfPrimary };
    this.#isAnswering = true;
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
