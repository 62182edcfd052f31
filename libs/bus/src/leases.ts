import { Retryable, type Clock, type Logger } from "@sluice/runtime";
import { leaseRecord, recordFilter, recordKey } from "@sluice/wire";
import { Pulse } from "./pulse.ts";
import type { Records, Unwatch } from "./records.ts";
import { withTimeLimit } from "./time-limit.ts";

/** A holder renews so often … */
export const LEASE_RENEW_MS = 1_000;
/** … and a lease that was not renewed for so long, on the observer's clock, may be taken by another. */
export const LEASE_TIME_MS = 4_000;
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
      const revision = await this.#tryTake(key);
      if (revision !== null) {
        this.#log.info({ lease: what }, "lease taken");
        return this.#hold(key, what, revision);
      }
      await this.#clock.sleep(RETRY_MS, signal);
    }
    return null;
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

  #hold(key: string, what: string, taken: number): HeldLease {
    const lost = new AbortController();
    const released = new AbortController();
    let revision = taken;
    const renew = async (): Promise<void> => {
      let renewedAtMs = this.#clock.monotonicMs();
      for (;;) {
        await this.#clock.sleep(LEASE_RENEW_MS, released.signal);
        if (released.signal.aborted) return;
        try {
          const renewal = this.#records.compareAndSet(key, leaseRecord, { holder: this.#holder }, revision);
          const next = await withTimeLimit(renewal, LEASE_RENEW_MS, this.#clock);
          if (next === null && !(await this.#isStillOurs(key))) break;
          revision = next ?? (await this.#records.get(key, leaseRecord))?.revision ?? revision;
          renewedAtMs = this.#clock.monotonicMs();
        } catch (cause) {
          if (!(cause instanceof Retryable)) throw cause;
        }
        if (this.#clock.monotonicMs() - renewedAtMs > LEASE_GIVE_UP_MS) break;
      }
      this.#log.warn({ lease: what }, "lease lost");
      lost.abort();
    };
    void renew();
    return {
      lost: lost.signal,
      release: async () => {
        if (released.signal.aborted) return;
        released.abort();
        if (lost.signal.aborted) return;
        await this.#records.removeIf(key, revision).catch(() => undefined);
      },
    };
  }

  /** After a renewal whose answer was lost the revision is newer than the one we know, and the holder is still this instance. */
  async #isStillOurs(key: string): Promise<boolean> {
    const current = await this.#records.get(key, leaseRecord);
    return current?.value.holder === this.#holder;
  }
}
