/** Flags of a change row. */
export const ChangeFlag = {
  /** First command of its unit. */
  first: 1,
  /** Last command of its unit. */
  last: 2,
  /** Carries an absolute expiry, which a writer must shift by its grace. */
  expiry: 4,
  /** Speaks of a whole keyspace (FLUSHALL, SWAPDB, FUNCTION …): only a lane that holds every slot may apply it by itself. */
  barrier: 8,
  /** Is the carrier of a command that is in no table (`encodeKeyed`): a destination gets the command inside. */
  keyed: 16,
} as const;

const CHANGE_ROW_BYTES = 18;
const SNAPSHOT_ROW_BYTES = 26;
const FIRST_CAPACITY = 64;

/**
 * The rows of a `changes` batch, one a *command*, as columns (little endian, widest first):
 * `lengths` u32 bytes of the command in the body · `argcs` u32 · `ends` u32 end offset of its unit minus `previous`
 * (0 in parts) · `slots` u16 · `dbs` u16 · `flags` u8 · `headers` u8 bytes of `*<argc>\r\n`.
 * MULTI, EXEC and SELECT are not carried: `flags` say where a unit ends and `dbs` say where a command runs.
 */
export class ChangeRows {
  readonly rowBytes = CHANGE_ROW_BYTES;
  count = 0;
  bodyBytes = 0;
  lengths: Uint32Array;
  argcs: Uint32Array;
  ends: Uint32Array;
  slots: Uint16Array;
  dbs: Uint16Array;
  flags: Uint8Array;
  headers: Uint8Array;

  constructor(capacity = FIRST_CAPACITY) {
    this.lengths = new Uint32Array(capacity);
    this.argcs = new Uint32Array(capacity);
    this.ends = new Uint32Array(capacity);
    this.slots = new Uint16Array(capacity);
    this.dbs = new Uint16Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.headers = new Uint8Array(capacity);
  }

  add(length: number, argc: number, end: number, slot: number, db: number, flags: number, header: number): void {
    const row = this.count;
    if (row === this.lengths.length) this.#grow(Math.max(FIRST_CAPACITY, row * 2));
    this.lengths[row] = length;
    this.argcs[row] = argc;
    this.ends[row] = end;
    this.slots[row] = slot;
    this.dbs[row] = db;
    this.flags[row] = flags;
    this.headers[row] = header;
    this.bodyBytes += length;
    this.count = row + 1;
  }

  /** Adds a row of another batch as it is. */
  copyRow(from: ChangeRows, row: number): void {
    this.add(
      from.lengths[row] as number,
      from.argcs[row] as number,
      from.ends[row] as number,
      from.slots[row] as number,
      from.dbs[row] as number,
      from.flags[row] as number,
      from.headers[row] as number,
    );
  }

  /** Forgets all rows but the first `count`; nothing where there are no more. */
  truncate(count: number): void {
    if (count >= this.count) return;
    for (let row = count; row < this.count; row++) this.bodyBytes -= this.lengths[row] as number;
    this.count = count;
  }

  clear(): void {
    this.count = 0;
    this.bodyBytes = 0;
  }

  pack(): Buffer {
    const n = this.count;
    return packColumns(n * CHANGE_ROW_BYTES, [
      this.lengths.subarray(0, n),
      this.argcs.subarray(0, n),
      this.ends.subarray(0, n),
      this.slots.subarray(0, n),
      this.dbs.subarray(0, n),
      this.flags.subarray(0, n),
      this.headers.subarray(0, n),
    ]);
  }

  /** Null when `columns` is no whole number of rows. */
  static unpack(columns: Buffer): ChangeRows | null {
    if (columns.length % CHANGE_ROW_BYTES !== 0) return null;
    const n = columns.length / CHANGE_ROW_BYTES;
    const bytes = aligned(columns);
    const rows = new ChangeRows(0);
    rows.lengths = new Uint32Array(bytes, 0, n);
    rows.argcs = new Uint32Array(bytes, n * 4, n);
    rows.ends = new Uint32Array(bytes, n * 8, n);
    rows.slots = new Uint16Array(bytes, n * 12, n);
    rows.dbs = new Uint16Array(bytes, n * 14, n);
    rows.flags = new Uint8Array(bytes, n * 16, n);
    rows.headers = new Uint8Array(bytes, n * 17, n);
    rows.count = n;
    rows.bodyBytes = sum(rows.lengths);
    return rows;
  }

  #grow(capacity: number): void {
    this.lengths = grown(this.lengths, new Uint32Array(capacity));
    this.argcs = grown(this.argcs, new Uint32Array(capacity));
    this.ends = grown(this.ends, new Uint32Array(capacity));
    this.slots = grown(this.slots, new Uint16Array(capacity));
    this.dbs = grown(this.dbs, new Uint16Array(capacity));
    this.flags = grown(this.flags, new Uint8Array(capacity));
    this.headers = grown(this.headers, new Uint8Array(capacity));
  }
}

/** Types of snapshot rows that are no keys, beside the value types of RDB: what an RDB holds beside its keys. */
export const SnapshotType = {
  /** A function library; the value is what stands behind the opcode of that number. */
  functionLibrary: 245,
  /** The body of a script, plain, from an aux field `lua` (RDB 8 and 9). */
  script: 250,
} as const;

/** `expires` of a key that does not expire. */
export const NO_EXPIRY = -1;

/** How `access` of a snapshot row is to be read: nothing known, seconds idle (LRU), or logarithmic frequency (LFU, 0 to 255). */
export const AccessKind = { none: 0, idleSeconds: 1, frequency: 2 } as const;

/**
 * The rows of a `snapshot` batch, one a *key*, as columns (little endian, widest first):
 * `expires` f64 ms since 1970 or -1 · `lengths` u32 bytes of key and value in the body · `keyLengths` u32 ·
 * `access` u32 · `slots` u16 · `dbs` u16 · `types` u8 RDB type of the value · `accessKinds` u8.
 */
export class SnapshotRows {
  readonly rowBytes = SNAPSHOT_ROW_BYTES;
  count = 0;
  bodyBytes = 0;
  expires: Float64Array;
  lengths: Uint32Array;
  keyLengths: Uint32Array;
  access: Uint32Array;
  slots: Uint16Array;
  dbs: Uint16Array;
  types: Uint8Array;
  accessKinds: Uint8Array;

  constructor(capacity = FIRST_CAPACITY) {
    this.expires = new Float64Array(capacity);
    this.lengths = new Uint32Array(capacity);
    this.keyLengths = new Uint32Array(capacity);
    this.access = new Uint32Array(capacity);
    this.slots = new Uint16Array(capacity);
    this.dbs = new Uint16Array(capacity);
    this.types = new Uint8Array(capacity);
    this.accessKinds = new Uint8Array(capacity);
  }

  add(row: SnapshotRow): void {
    const at = this.count;
    if (at === this.lengths.length) this.#grow(Math.max(FIRST_CAPACITY, at * 2));
    this.expires[at] = row.expireAtMs;
    this.lengths[at] = row.length;
    this.keyLengths[at] = row.keyLength;
    this.access[at] = row.access;
    this.slots[at] = row.slot;
    this.dbs[at] = row.db;
    this.types[at] = row.type;
    this.accessKinds[at] = row.accessKind;
    this.bodyBytes += row.length;
    this.count = at + 1;
  }

  clear(): void {
    this.count = 0;
    this.bodyBytes = 0;
  }

  pack(): Buffer {
    const n = this.count;
    return packColumns(n * SNAPSHOT_ROW_BYTES, [
      this.expires.subarray(0, n),
      this.lengths.subarray(0, n),
      this.keyLengths.subarray(0, n),
      this.access.subarray(0, n),
      this.slots.subarray(0, n),
      this.dbs.subarray(0, n),
      this.types.subarray(0, n),
      this.accessKinds.subarray(0, n),
    ]);
  }

  /** Null when `columns` is no whole number of rows. */
  static unpack(columns: Buffer): SnapshotRows | null {
    if (columns.length % SNAPSHOT_ROW_BYTES !== 0) return null;
    const n = columns.length / SNAPSHOT_ROW_BYTES;
    const bytes = aligned(columns);
    const rows = new SnapshotRows(0);
    rows.expires = new Float64Array(bytes, 0, n);
    rows.lengths = new Uint32Array(bytes, n * 8, n);
    rows.keyLengths = new Uint32Array(bytes, n * 12, n);
    rows.access = new Uint32Array(bytes, n * 16, n);
    rows.slots = new Uint16Array(bytes, n * 20, n);
    rows.dbs = new Uint16Array(bytes, n * 22, n);
    rows.types = new Uint8Array(bytes, n * 24, n);
    rows.accessKinds = new Uint8Array(bytes, n * 25, n);
    rows.count = n;
    rows.bodyBytes = sum(rows.lengths);
    return rows;
  }

  #grow(capacity: number): void {
    this.expires = grown(this.expires, new Float64Array(capacity));
    this.lengths = grown(this.lengths, new Uint32Array(capacity));
    this.keyLengths = grown(this.keyLengths, new Uint32Array(capacity));
    this.access = grown(this.access, new Uint32Array(capacity));
    this.slots = grown(this.slots, new Uint16Array(capacity));
    this.dbs = grown(this.dbs, new Uint16Array(capacity));
    this.types = grown(this.types, new Uint8Array(capacity));
    this.accessKinds = grown(this.accessKinds, new Uint8Array(capacity));
  }
}

/** One row of `SnapshotRows`. In the first part of a value in parts `length` is that part's share. */
export interface SnapshotRow {
  expireAtMs: number;
  length: number;
  keyLength: number;
  access: number;
  slot: number;
  db: number;
  type: number;
  accessKind: number;
}

type Column = Float64Array | Uint32Array | Uint16Array | Uint8Array;

function packColumns(bytes: number, columns: readonly Column[]): Buffer {
  const packed = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const column of columns) {
    packed.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), at);
    at += column.byteLength;
  }
  return packed;
}

/** A copy that starts at offset 0 of a buffer of its own, where typed arrays of any width may stand. */
function aligned(columns: Buffer): ArrayBuffer {
  const bytes = new ArrayBuffer(columns.length);
  new Uint8Array(bytes).set(columns);
  return bytes;
}

function grown<T extends Column>(from: T, to: T): T {
  to.set(from);
  return to;
}

function sum(values: Uint32Array): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] as number;
  return total;
}
