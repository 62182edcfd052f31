import { MEMBER_BEAT_MS, MEMBER_TIME_MS } from "@sluice/bus";
import type { Clock } from "@sluice/runtime";

/** Every instance that lives has been heard once more after this time. */
export const SETTLE_MS = MEMBER_BEAT_MS + 250;
/** When no instance at all was heard for so long, it is the bus that is silent and not the instances. */
const DEAF_MS = 2.5 * MEMBER_BEAT_MS;

interface Seen {
  readonly service: string;
  readonly instance: string;
  revision: number;
  atMs: number;
  /** Its record changed under our eyes: it is no leftover of an instance that died long ago. */
  hasProof: boolean;
}

/**
 * Which instances live, on this router's own clock. Pure: it is told of member records and asked with the time.
 *
 * A member record that is read for the first time proves nothing: it may be years old. So there are three answers:
 * - *live*: the record has grown while we listened, last within `MEMBER_TIME_MS`. It may be given work.
 * - *awaited*: not proven yet, and we have listened for less than `MEMBER_TIME_MS`. It keeps what it has, so that a router
 *   that starts does not shuffle, but is given nothing.
 * - otherwise dead.
 *
 * While the bus is away nobody can be heard. The first beat after such a silence begins a new roll call, in which all are
 * awaited again; judging them by their silence would move all work at every restart of the bus.
 *
 *     begin ── SETTLE_MS ──▶ isSettled: whoever lives has proven it; decisions begin
 *       └────────── MEMBER_TIME_MS ──────────▶ awaited ones are dead
 *
 * It begins with the first record that is heard, however late a busy bus delivers: the leftovers come with it.
 */
export class RollCall {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #seen = new Map<string, Seen>();
  /** Infinity until a record was heard. */
  #beganAtMs = Infinity;
  #heardAtMs = Infinity;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** The record of an instance was seen at `revision`; the same revision again is no sign of life. */
  beat(service: string, instance: string, revision: number): void {
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#seen.get(`${service}.${instance}`);
    if (seen?.revision === revision) return;
    if (this.#beganAtMs === Infinity || nowMs - this.#heardAtMs > DEAF_MS) this.#begin(nowMs);
    this.#heardAtMs = nowMs;
    // Who is first seen later than the leftovers were delivered has just written its record.
    const hasProof = seen !== undefined || nowMs - this.#beganAtMs > SETTLE_MS;
    this.#seen.set(`${service}.${instance}`, { service, instance, revision, atMs: nowMs, hasProof });
  }

  /** The instance took its record away: it stops in good order. */
  gone(service: string, instance: string): void {
    this.#seen.set(`${service}.${instance}`, {
      service,
      instance,
      revision: 0,
      atMs: Number.NEGATIVE_INFINITY,
      hasProof: true,
    });
  }

  /** False while it is too early to decide anything, and while the bus is silent. */
  get isSettled(): boolean {
    const nowMs = this.#clock.monotonicMs();
    return nowMs - this.#beganAtMs >= SETTLE_MS && nowMs - this.#heardAtMs <= DEAF_MS;
  }

  /** Instances of a service that may be given work. */
  live(service: string): string[] {
    const oldestMs = this.#clock.monotonicMs() - MEMBER_TIME_MS;
    return [...this.#seen.values()]
      .filter((seen) => seen.service === service && seen.hasProof && seen.atMs >= oldestMs)
      .map((seen) => seen.instance);
  }

  /** Those of `owners` that may live although they were not heard yet. */
  awaited(service: string, owners: Iterable<string>): Set<string> {
    if (this.#clock.monotonicMs() - this.#beganAtMs >= MEMBER_TIME_MS) return new Set();
    return new Set([...owners].filter((owner) => this.#seen.get(`${service}.${owner}`)?.hasProof !== true));
  }

  /** Ms since the instance was last heard; null when it never was or has said goodbye. */
  silentMs(service: string, instance: string): number | null {
    const seen = this.#seen.get(`${service}.${instance}`);
    return seen === undefined || !Number.isFinite(seen.atMs) ? null : this.#clock.monotonicMs() - seen.atMs;
  }

  #begin(nowMs: number): void {
    this.#beganAtMs = nowMs;
    for (const seen of this.#seen.values()) seen.hasProof = !Number.isFinite(seen.atMs);
  }
}
