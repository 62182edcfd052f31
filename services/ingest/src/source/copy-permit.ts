import { Leases, type HeldLease, type Records } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";

export interface CopyPermitOptions {
  readonly records: Records;
  /** The machine that has to fork for the copy: one name for all its servers. */
  readonly host: string;
  /** Copies that it may send at a time. */
  readonly limit: number;
  /** Whoever asks; the same one gets again at once what it had before its process died. */
  readonly holder: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The right to ask a host of the source for a full copy: one of `limit` leases that all pipelines share, so that the primaries of
 * one machine do not all fork at once. It is held from before PSYNC until the RDB is received; that of a holder who died may be
 * taken once it was not renewed for a while. A copy that has begun goes on although its permit is lost: breaking it off would cost
 * the host another fork.
 */
export class CopyPermit {
  readonly #lease: HeldLease;
  readonly #leases: Leases;

  private constructor(lease: HeldLease, leases: Leases) {
    this.#lease = lease;
    this.#leases = leases;
  }

  /** Waits for a permit. Null when `signal` aborts before there is one. Throws `Retryable` BUS-001. */
  static async take(options: CopyPermitOptions, signal: AbortSignal): Promise<CopyPermit | null> {
    const { records, host, limit, holder, clock, log } = options;
    // A lease is its holder's, whoever of its process asks for it; so each shard is a holder of its own.
    const leases = new Leases(records, holder, clock, log);
    const decided = new AbortController();
    const waiting = AbortSignal.any([signal, decided.signal]);
    const name = host.replace(/[^A-Za-z0-9-]/g, "_");
    const taken: HeldLease[] = [];
    const failures: unknown[] = [];
    const compete = async (place: number): Promise<void> => {
      try {
        const lease = await leases.acquire(`copy.${name}.${place}`, waiting);
        if (lease !== null) taken.push(lease);
      } catch (cause) {
        failures.push(cause);
      }
      decided.abort();
    };
    await Promise.all(Array.from({ length: limit }, (_, place) => compete(place)));
    const [lease, ...more] = taken;
    await Promise.all(more.map((another) => another.release()));
    if (lease === undefined) {
      leases.close();
      if (failures.length > 0) throw failures[0];
      return null;
    }
    return new CopyPermit(lease, leases);
  }

  /** Safe to call twice. */
  async release(): Promise<void> {
    this.#leases.close();
    await this.#lease.release();
  }
}
