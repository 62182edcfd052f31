import { crc32 } from "node:zlib";
import { Packr, Unpackr } from "msgpackr";
import { ChangeRows, SnapshotRows } from "./rows.ts";
import { assertFlat, BatchError } from "./batch-shape.ts";
import { WIRE_VERSION } from "./version.ts";

/**
 * What one JetStream message of a lane is.
 *
 * - `changes`: consecutive units of the lane, raw.
 * - `fence`: a new term (or, with a higher epoch, a new history) begins; `previous = last`. Carries nothing else.
 * - `heartbeat`: nothing for this lane up to `last`.
 * - `snapshot`: keys of a full copy; `previous` and `last` count this lane's keys.
 * - `snapshotEnd`: the copy of this lane is complete and the checksum of its RDB was verified; `previous = last` = its keys. That of a
 *   copy beside the one that an epoch begins with carries S in its body, see `copyOffsetBody`: no fence says it.
 */
export const BatchKind = { changes: 0, fence: 1, heartbeat: 2, snapshot: 3, snapshotEnd: 4 } as const;
export type BatchKind = (typeof BatchKind)[keyof typeof BatchKind];

/** A unit or value too large for one message travels in parts, contiguous in its lane; `id` is its first part's `previous`. */
export interface Part {
  readonly id: number;
  readonly index: number;
  readonly final: boolean;
}

/**
 * One JetStream message. In the message it is a msgpack array in this order, behind `version` and before the checksum:
 * `[version, kind, shard, epoch, term, previous, last, db, replid, rows, body, part, crc]`, and `true` before the checksum where `besideCopy` is.
 *
 * `previous`, `last`: end offset of the last unit of the lane's previous batch and of this one; the chain proves that nothing
 * is missing. Parts before the final one have `last = previous`.
 * `db`: the database that the source's stream has selected at `last`, where a resumed link would not be told again.
 * `replid`: the history that `last` belongs to, so that a lane's tail is all that a resume needs.
 * `body`: raw bytes, end to end: of `changes` the RESP of the commands as the source sent them, of `snapshot` each key followed
 * by its value as it stands in the RDB.
 * `besideCopy`: of changes and heartbeats: the end of the lane's copy in the epoch was not stored yet. Behind a batch that does not say so it was: where
 * it is not there, the bus has lost it (H7).
 */
export interface Batch {
  readonly kind: BatchKind;
  readonly shard: string;
  readonly epoch: number;
  readonly term: number;
  readonly previous: number;
  readonly last: number;
  readonly db: number;
  readonly replid: string;
  readonly rows: ChangeRows | SnapshotRows | null;
  readonly body: Buffer;
  readonly part: Part | null;
  readonly besideCopy: boolean;
}

/** Bytes that a message needs beside rows and body, generously. */
export const BATCH_OVERHEAD_BYTES = 256;

/** Without `besideCopy`. */
const FIELDS = 13;
const EMPTY = Buffer.alloc(0);
const CRC_BYTES = 4;
const CRC_PLACEHOLDER = 0xffffffff;

const packr = new Packr({ useRecords: false, mapsAsObjects: true });
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

/** The message of a batch. The result is the caller's own; `body` and `rows` are copied. */
export function encodeBatch(batch: Batch): Buffer {
  const { kind, shard, epoch, term, previous, last, db, replid, rows, body, part, besideCopy } = batch;
  const fields: unknown[] = [
    WIRE_VERSION,
    kind,
    shard,
    epoch,
    term,
    previous,
    last,
    db,
    replid,
    rows === null ? EMPTY : rows.pack(),
    body,
    part === null ? null : [part.id, part.index, part.final],
  ];
  if (besideCopy) fields.push(true);
  fields.push(CRC_PLACEHOLDER);
  const message = packr.pack(fields);
  // The checksum covers every byte before it, columns and head included, not the body alone.
  message.writeUInt32BE(crc32(message.subarray(0, message.length - CRC_BYTES)), message.length - CRC_BYTES);
  return message;
}

/** Reads a message. `body` is a view into `message`. Throws `BatchError`. */
export function decodeBatch(message: Uint8Array): Batch {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  if (bytes.length < CRC_BYTES + 2) throw new BatchError(`a message of ${bytes.length} bytes is no batch`);
  const at = bytes.length - CRC_BYTES;
  const found = crc32(bytes.subarray(0, at));
  const expected = bytes.readUInt32BE(at);
  if (found !== expected) {
    throw new BatchError(
      `checksum is ${hex(found)}, the message says ${hex(expected)}: ${bytes.length} bytes are damaged or no batch`,
    );
  }
  assertFlat(bytes);
  return checked(unpack(bytes));
}

const OFFSET_BYTES = 8;

/** Body of a `snapshotEnd` that says S, the source's offset that the copy stands for. */
export function copyOffsetBody(offset: number): Buffer {
  const body = Buffer.alloc(OFFSET_BYTES);
  body.writeBigUInt64BE(BigInt(offset));
  return body;
}

/** S, where a `snapshotEnd` says it; null for any other batch. */
export function copyOffsetOf({ kind, body }: Pick<Batch, "kind" | "body">): number | null {
  return kind === BatchKind.snapshotEnd && body.length === OFFSET_BYTES ? Number(body.readBigUInt64BE()) : null;
}

function unpack(bytes: Buffer): readonly unknown[] {
  let fields: unknown;
  try {
    fields = unpackr.unpack(bytes);
  } catch (cause) {
    throw new BatchError("the message is no msgpack array", { cause });
  }
  if (!Array.isArray(fields)) throw new BatchError(`expected a msgpack array, found ${typeof fields}`);
  if (fields[0] !== WIRE_VERSION) {
    throw new BatchError(
      `wire version ${String(fields[0])}; this build reads version ${WIRE_VERSION}: run one release of Sluice`,
    );
  }
  if (fields.length !== FIELDS && fields.length !== FIELDS + 1)
    throw new BatchError(`expected ${FIELDS} or ${FIELDS + 1} fields, found ${fields.length}`);
  return fields;
}

function checked(fields: readonly unknown[]): Batch {
  const [, kind, shard, epoch, term, previous, last, db, replid, rows, body, part, beside] = fields;
  if (!isKind(kind)) throw new BatchError(`unknown kind ${String(kind)}`);
  const head = {
    kind,
    shard: text(shard, "shard"),
    epoch: count(epoch, "epoch"),
    term: count(term, "term"),
    previous: count(previous, "previous"),
    last: count(last, "last"),
    db: count(db, "db"),
    replid: text(replid, "replid"),
    body: binary(body, "body"),
    part: partOf(part),
    besideCopy: fields.length > FIELDS && isBeside(beside),
  };
  if (head.last < head.previous) throw new BatchError(`last ${head.last} is below previous ${head.previous}`);
  const columns = binary(rows, "rows");
  const copyOffset = copyOffsetOf(head) ?? 0;
  if (!Number.isSafeInteger(copyOffset))
    throw new BatchError(`the copy's offset: expected a whole number, found ${copyOffset}`);
  return { ...head, rows: rowsOf(kind, columns, head.body.length, head.part !== null) };
}

function rowsOf(kind: BatchKind, columns: Buffer, bodyBytes: number, inParts: boolean): Batch["rows"] {
  if (kind !== BatchKind.changes && kind !== BatchKind.snapshot) {
    const isOffset = kind === BatchKind.snapshotEnd && bodyBytes === OFFSET_BYTES && columns.length === 0;
    if ((columns.length + bodyBytes > 0 && !isOffset) || inParts)
      throw new BatchError(`kind ${kind} carries nothing, found ${columns.length} + ${bodyBytes} bytes`);
    return null;
  }
  const rows = kind === BatchKind.changes ? ChangeRows.unpack(columns) : SnapshotRows.unpack(columns);
  if (rows === null) throw new BatchError(`${columns.length} bytes of rows are no whole number of rows`);
  if (!inParts && rows.bodyBytes !== bodyBytes) {
    throw new BatchError(`the rows speak of ${rows.bodyBytes} bytes, the body has ${bodyBytes}`);
  }
  return rows;
}

function partOf(value: unknown): Part | null {
  if (value === null) return null;
  if (!Array.isArray(value) || value.length !== 3 || typeof value[2] !== "boolean") throw new BatchError("malformed part");
  return { id: count(value[0], "part id"), index: count(value[1], "part index"), final: value[2] };
}

function isKind(value: unknown): value is BatchKind {
  return typeof value === "number" && Number.isInteger(value) && value >= BatchKind.changes && value <= BatchKind.snapshotEnd;
}

function count(value: unknown, field: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new BatchError(`${field}: expected a whole number, found ${String(value)}`);
}

function isBeside(value: unknown): boolean {
  if (value === true) return true;
  throw new BatchError(`besideCopy: expected true, found ${String(value)}`);
}

function text(value: unknown, field: string): string {
  if (typeof value === "string") return value;
  throw new BatchError(`${field}: expected text, found ${typeof value}`);
}

function binary(value: unknown, field: string): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new BatchError(`${field}: expected bytes, found ${typeof value}`);
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}
