const NONE = Buffer.alloc(0);

/**
 * One key as it stands in the file. The reader has a single one and fills it anew for every key, so what a sink wants to keep it
 * copies during the call. The ranges are there for copying without making a slice first.
 */
export class RdbEntry {
  db = 0;
  /** The type byte, with a bit set where it is a type that only Valkey has (`typeOfByte`); see `rdbTypeName`. */
  type = 0;
  /**
   * Absolute, in ms; -1: none. May be past, also negative: the server deletes such keys by itself, and until then they exist. Above
   * 2^53 - 1 (the year 287396) it reads as 2^53 - 1.
   */
  expireAtMs = -1;
  /** Since the last access when the file was written; -1: not in the file. */
  idleSeconds = -1;
  /** The logarithmic LFU counter, 0 to 255; -1: not in the file. */
  freq = -1;
  /** A module attached metadata to the key, which was passed over (`unknown: "skip"`). */
  hasMetadata = false;

  /** The key, decoded: `keyBytes[keyStart, keyEnd)`. */
  keyBytes: Buffer = NONE;
  keyStart = 0;
  keyEnd = 0;

  /** The raw value, whole (`entry` only): `valueBytes[valueStart, valueEnd)`. */
  valueBytes: Buffer = NONE;
  valueStart = 0;
  valueEnd = 0;

  get key(): Buffer {
    return this.keyBytes.subarray(this.keyStart, this.keyEnd);
  }

  /** Exactly what stands behind the type byte in a RESTORE payload. */
  get value(): Buffer {
    return this.valueBytes.subarray(this.valueStart, this.valueEnd);
  }

  /** Forgets what belongs to one key only. */
  clear(): void {
    this.expireAtMs = -1;
    this.idleSeconds = -1;
    this.freq = -1;
    this.hasMetadata = false;
  }
}
