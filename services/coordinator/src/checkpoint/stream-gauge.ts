import type { StreamSize } from "@sluice/bus";

/** From this share of its limit on a stream keeps nothing that is applied … */
const HIGH_SHARE = 0.8;
/** … until it is below this one again. */
const RELIEVED_SHARE = 0.7;
/** A stream with less room than a batch may take is full: the next one is refused (`max_payload` is 1 MiB unless raised). */
const BATCH_BYTES = 1024 * 1024;
/** … when that does not pass by itself. */
const FULL_AFTER_MS = 3_000;

/** `high`: above 80 % of the limit. `full`: no batch has had room for 3 s. */
export type StreamPressure = "none" | "high" | "full";

/** How near a stream is to what it may hold. Pure: it is told of sizes and of the time. */
export class StreamGauge {
  #pressure: StreamPressure = "none";
  #size: StreamSize | null = null;
  #tightSinceMs: number | null = null;

  get pressure(): StreamPressure {
    return this.#pressure;
  }

  /** As last told; null before, and where there is no stream. */
  get size(): StreamSize | null {
    return this.#size;
  }

  /** `nowMs`: monotonic. True when the pressure has changed. */
  take(size: StreamSize | null, nowMs: number): boolean {
    const before = this.#pressure;
    this.#size = size;
    this.#pressure = this.#pressureOf(size, nowMs);
    return this.#pressure !== before;
  }

  #pressureOf(size: StreamSize | null, nowMs: number): StreamPressure {
    const limitBytes = size?.limitBytes ?? null;
    const bytes = size?.bytes ?? 0;
    if (limitBytes === null) return "none";
    if (limitBytes - bytes > BATCH_BYTES) this.#tightSinceMs = null;
    else {
      this.#tightSinceMs ??= nowMs;
      if (nowMs - this.#tightSinceMs >= FULL_AFTER_MS) return "full";
    }
    const isHigh = bytes >= limitBytes * (this.#pressure === "none" ? HIGH_SHARE : RELIEVED_SHARE);
    return isHigh ? "high" : "none";
  }
}

/** A stream that will hold a copy and what is written meanwhile needs so much more than the copy alone. */
const COPY_MARGIN = 1.25;

/** What a stream must hold for a copy that has filled it with `keys` of `expectedKeys`; null where nobody can tell. */
export function neededBytes(heldBytes: number, keys: number, expectedKeys: number): number | null {
  if (keys === 0 || keys > expectedKeys) return null;
  return Math.ceil(((heldBytes * expectedKeys) / keys) * COPY_MARGIN);
}
