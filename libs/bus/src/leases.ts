import { describeFault, Retryable, type Clock, type Logger } from "@sluice/runtime";
import { leaseRecord, recordFilter, recordKey } from "@sluice/wire";
import { Pulse } from "./pulse.ts";
import type { Records, Unwatch } from "./records.ts";
import { withTimeLimit } from "./time-limit.ts";

/** A holder renews so often … */
const LEASE_RENEW_MS = 1_000;
/** … and a lease that was not renewed for so long, on the observer's clock, may be taken by another. */
const LEASE_TIME_MS = 4_000;
/** A holder that could not renew for so long stops by itself, before another may start. */
const LEASE_GIVE_UP_MS = 3_000;
const RETRY_MS = 200;

/** A lease that is held. `lost` aborts when it can't be renewed in time or another holder was seen. */
export interface HeldLease {
  readonly lost: AbortSignal;
  /** Gives it back, so that another need not wait. Safe to call twice. */
  release(): Promise<void>;
}

/**
 * Leases of one instance: who works on what, decided by compare-and-set writes in KV.
 *
 * They keep two instances from wasting work on the same lane; they are not what keeps data safe. That is `apply`'s
 * compare-and-set in the destination and the expected sequence in JetStream (H17).
 */
export class Leases {
  readonly #records: Records;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #pulse: Pulse;
  readonly #unwatch: Unwatch;

  constructor(records: Records, holder: string, clock: Clock, log: Logger) {
    this.#records = records;
    this.#holder = holder;
    this.#clock = clock;
    this.#log = log;
    this.#pulse = new Pulse(clock);
    this.#unwatch = records.watch(recordFilter.leases, ({ key, value, revision }) => {
      if (value === null) this.#pulse.gone(key);
      else this.#pulse.beat(key, revision);
    });
  }

  /** Waits until the lease is this instance's. Null when `signal` aborts before that. */
  async acquire(what: string, signal: AbortSignal): Promise<HeldLease | null> {
    const key = recordKey.lease(what);
    while (!signal.aborted) {
      const askedAtMs = this.#clock.monotonicMs();
      const revision = await this.#tryTake(key);
      if (revision !== null) {
        this.#log.info({ lease: what }, "lease taken");
        return this.#hold(key, what, revision, askedAtMs);
      }
      await this.#clock.sleep(RETRY_MS, signal);
    }
    return null;
  }

  /**
   * Waits for the lease and works while it is held. `signal` aborts when `stopping` does or the lease is lost; `work` then ends.
   * Throws what `work` throws, and `Retryable` BUS-001 after the lease was lost: whoever runs this takes it again. Returns without
   * working when `stopping` aborts first.
   */
  async during(what: string, stopping: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const lease = await this.acquire(what, stopping);
    if (lease === null) return;
    const ended = new AbortController();
    const isLost = (): boolean => lease.lost.aborted && !stopping.aborted;
    try {
      await work(AbortSignal.any([stopping, lease.lost, ended.signal]));
    } catch (cause) {
      if (!isLost()) throw cause;
    } finally {
      ended.abort();
      await lease.release();
    }
    if (isLost()) throw new Retryable("BUS-001", "bus", `the lease of ${what} could not be kept`);
  }

  close(): void {
    this.#unwatch();
  }

  async #tryTake(key: string): Promise<number | null> {
    const current = await this.#records.get(key, leaseRecord);
    const record = { holder: this.#holder };
    if (current === null) return this.#records.compareAndSet(key, leaseRecord, record, 0);
    this.#pulse.beat(key, current.revision);
    const silentMs = this.#pulse.silentMs(key) ?? 0;
    if (current.value.holder !== this.#holder && silentMs < LEASE_TIME_MS) return null;
    return this.#records.compareAndSet(key, leaseRecord, record, current.revision);
  }

  #hold(key: string, what: string, revision: number, takenAtMs: number): HeldLease {
    const lease = new Lease(this.#records, { key, holder: this.#holder, revision, takenAtMs }, this.#clock, this.#log);
    void lease.keep().catch((cause: unknown) => this.#log.error({ lease: what }, describeFault(cause)));
    return lease;
  }
}

interface Claim {
  readonly key: string;
  readonly holder: string;
  /** Of the write that took it, and when that was asked for. */
  readonly revision: number;
  readonly takenAtMs: number;
}

/** A held lease: renewed by compare-and-set from the revision that its holder wrote last. */
class Lease implements HeldLease {
  readonly #records: Records;
  readonly #claim: Claim;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #lost = new AbortController();
  readonly #released = new AbortController();
  #revision: number;
  #renewedAtMs: number;
  #renewal: Promise<boolean> = Promise.resolve(true);

  constructor(records: Records, claim: Claim, clock: Clock, log: Logger) {
    this.#records = records;
    this.#claim = claim;
    this.#clock = clock;
    this.#log = log;
    this.#revision = claim.revision;
    this.#renewedAtMs = claim.takenAtMs;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Renews until it is released or lost. Time counts from when a renewal was asked for, because others may have seen it since
   * then. Who wakes up too late tries once more all the same: a compare-and-set that succeeds proves that nobody else had it.
   */
  async keep(): Promise<void> {
    for (let delayMs = LEASE_RENEW_MS; ;) {
      await this.#clock.sleep(Math.min(delayMs, Math.max(0, this.#leftMs())), this.#released.signal);
      if (this.#released.signal.aborted) return;
      const askedAtMs = this.#clock.monotonicMs();
      delayMs = RETRY_MS;
      try {
        if (!(await this.#inTime())) return this.#lose("another holder has it");
        this.#renewedAtMs = askedAtMs;
        delayMs = LEASE_RENEW_MS;
      } catch (cause) {
        // Only the bus may be waited for.
        if (!(cause instanceof Retryable)) return this.#lose(describeFault(cause));
      }
      if (this.#released.signal.aborted) return;
      if (this.#leftMs() <= 0) return this.#lose(`not renewed for ${LEASE_GIVE_UP_MS} ms`);
    }
  }

  #leftMs(): number {
    return this.#renewedAtMs + LEASE_GIVE_UP_MS - this.#clock.monotonicMs();
  }

  async release(): Promise<void> {
    if (this.#released.signal.aborted) return;
    this.#released.abort();
    if (this.#lost.signal.aborted) return;
    // A renewal that is under way still moves the revision that is to be removed.
    await withTimeLimit(this.#renewal, LEASE_RENEW_MS, this.#clock).catch(() => undefined);
    await this.#records.removeIf(this.#claim.key, this.#revision).catch(() => undefined);
  }

  /** True when renewed, false when another holds the lease. Throws `Retryable` when no answer came within the time of one renewal. */
  async #inTime(): Promise<boolean> {
    this.#renewal = this.#renew();
    const leftMs = this.#leftMs();
    return withTimeLimit(this.#renewal, leftMs > 0 ? Math.min(LEASE_RENEW_MS, leftMs) : LEASE_RENEW_MS, this.#clock);
  }

  async #renew(): Promise<boolean> {
    const { key, holder } = this.#claim;
    for (let attempt = 0; attempt < 3; attempt++) {
      const next = await this.#records.compareAndSet(key, leaseRecord, { holder }, this.#revision);
      if (next !== null) {
        this.#revision = Math.max(this.#revision, next);
        return true;
      }
      // The answer to an earlier renewal was lost: the record is newer than known here, and still this holder's.
      const current = await this.#records.get(key, leaseRecord);
      if (current?.value.holder !== holder) return false;
      this.#revision = current.revision;
    }
    return false;
  }

  #lose(why: string): void {
    this.#log.warn({ lease: this.#claim.key, why }, "lease lost");
    this.#lost.abort();
  }
}
