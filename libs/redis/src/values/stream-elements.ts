import { Listpack } from "../rdb/listpack.ts";
import { RdbError } from "../rdb/rdb-error.ts";
import { PendingEntries } from "./pending-ids.ts";
import { compareIds, idOfBytes, type StreamId } from "./stream-id.ts";
import type { ValueBytes, Waiting } from "./value-bytes.ts";
import type { ValueElement, ValueElements } from "./value-element.ts";

/** What the values of a type hold beside those of the first (rdb-opcode.ts, `stream`). */
export interface StreamForm {
  readonly hasCounters: boolean;
  readonly hasActiveTimes: boolean;
  readonly hasProducers: boolean;
}

export interface StreamLimits {
  /** Pending entries of all groups together. */
  readonly maxPending: number;
  /** Passes over the entries: only what follows them is wanted. */
  readonly withoutEntries: boolean;
}

/** Flags of an entry in a node (Redis t_stream.c, STREAM_ITEM_FLAG_*). */
const FLAG = { deleted: 1, sameFields: 2 } as const;
const ID_BYTES = 16;
/** How many a group has read, where the server does not know it (Redis stream.h, SCG_INVALID_ENTRIES_READ). */
const UNKNOWN = 0xffff_ffff_ffff_ffffn;

/** Entries in ascending order, the stream's state, its groups: see the grammar in rdb-opcode.ts. */
export function* streamElements(bytes: ValueBytes, form: StreamForm, limits: StreamLimits): ValueElements {
  let above: StreamId | undefined;
  for (let left = yield* bytes.length(); left > 0; left--) {
    const { offset } = bytes.cursor;
    const key = yield* bytes.string();
    if (key.length !== ID_BYTES) throw new RdbError(`a node of a stream has a key of ${key.length} bytes, not 16`, offset);
    const base = bytes.cursor.offset;
    const node = yield* bytes.string();
    if (limits.withoutEntries) continue;
    for (const entry of nodeEntries(idOfBytes(key, 0), new Listpack(node, base))) {
      if (above !== undefined && compareIds(above, entry.id) >= 0)
        throw new RdbError("the ids of a stream do not ascend", base);
      above = entry.id;
      yield entry;
    }
  }
  const { offset } = bytes.cursor;
  const state = yield* streamState(bytes, form.hasCounters);
  if (above !== undefined && compareIds(above, state.lastId) > 0) {
    throw new RdbError("a stream has an entry above its last id", offset);
  }
  yield state;
  yield* groups(bytes, form, limits.maxPending);
  if (form.hasProducers) yield yield* producers(bytes);
}

type Entry = Extract<ValueElement, { kind: "entry" }>;

/**
 * `node = count deleted fields{n field{n} 0} entry*`,
 * `entry = flags ms-difference seq-difference [ n field value | value{of the node's fields} ] elements` (Redis t_stream.c,
 * streamAppendItem). A deleted entry stays in its node until that is rewritten.
 */
function* nodeEntries(master: StreamId, node: Listpack): Generator<Entry, void> {
  const total = node.count("the number of entries") + node.count("the number of deleted entries");
  const fields: Buffer[] = [];
  for (let left = node.count("the number of fields"); left > 0; left--) fields.push(node.expect("a field"));
  if (node.integer("the end of the fields") !== 0n)
    throw new RdbError("the fields of a stream's node have no end", node.offset);
  for (let left = total; left > 0; left--) {
    const flags = node.count("the flags of an entry");
    const ms = BigInt.asUintN(64, master.ms + node.integer("the time of an entry"));
    const seq = BigInt.asUintN(64, master.seq + node.integer("the sequence of an entry"));
    const fieldsAndValues: Buffer[] = [];
    if ((flags & FLAG.sameFields) !== 0) {
      for (const field of fields) fieldsAndValues.push(field, node.expect("a value"));
    } else {
      for (let pairs = node.count("the number of fields"); pairs > 0; pairs--) {
        fieldsAndValues.push(node.expect("a field"), node.expect("a value"));
      }
    }
    node.integer("the size of an entry");
    if ((flags & FLAG.deleted) !== 0) continue;
    if (fieldsAndValues.length === 0) throw new RdbError("an entry of a stream has no fields", node.offset);
    yield { kind: "entry", id: { ms, seq }, fieldsAndValues };
  }
  if (node.next() !== undefined) throw new RdbError("a node of a stream goes on behind its last entry", node.offset);
}

function* streamState(bytes: ValueBytes, hasCounters: boolean): Waiting<Extract<ValueElement, { kind: "stream" }>> {
  const length = yield* bytes.length();
  const lastId = yield* id(bytes);
  if (!hasCounters) return { kind: "stream", length, lastId, entriesAdded: undefined, maxDeletedId: undefined };
  yield* id(bytes); // the first, which the entries say
  const maxDeletedId = yield* id(bytes);
  return { kind: "stream", length, lastId, maxDeletedId, entriesAdded: yield* bytes.wideLength() };
}

function* groups(bytes: ValueBytes, form: StreamForm, maxPending: number): ValueElements {
  let room = maxPending;
  for (let left = yield* bytes.length(); left > 0; left--) {
    const name = yield* bytes.string();
    const lastId = yield* id(bytes);
    const read = form.hasCounters ? yield* bytes.wideLength() : UNKNOWN;
    const { offset } = bytes.cursor;
    const pending = yield* pendingEntries(bytes, room, maxPending);
    room -= pending.ids.size;
    yield { kind: "group", name, lastId, entriesRead: read === UNKNOWN ? undefined : read, pending };
    for (let consumers = yield* bytes.length(); consumers > 0; consumers--) {
      yield* consumer(bytes, pending, form.hasActiveTimes);
    }
    if (pending.unowned > 0) throw new RdbError(`${pending.unowned} pending entries of a group have no consumer`, offset);
  }
}

function* pendingEntries(bytes: ValueBytes, room: number, maxPending: number): Waiting<PendingEntries> {
  const { offset } = bytes.cursor;
  const count = yield* bytes.length();
  if (count > room) throw new RdbError(`a stream has more pending entries than ${maxPending}`, offset);
  const pending = new PendingEntries();
  for (let left = count; left > 0; left--) {
    const record = yield* bytes.exactly(ID_BYTES + 8);
    const deliveries = yield* bytes.length();
    if (!pending.add(idOfBytes(record, 0), Number(record.readBigInt64LE(ID_BYTES)), deliveries)) {
      throw new RdbError("the pending entries of a group do not ascend", offset);
    }
  }
  return pending;
}

/** Name, seen time, active time; which of the group's pending entries are the consumer's. The times have no command that sets them. */
function* consumer(bytes: ValueBytes, pending: PendingEntries, hasActiveTime: boolean): ValueElements {
  const name = yield* bytes.string();
  yield* bytes.exactly(hasActiveTime ? 16 : 8);
  yield { kind: "consumer", name };
  for (let left = yield* bytes.length(); left > 0; left--) {
    const { offset } = bytes.cursor;
    const owned = idOfBytes(yield* bytes.exactly(ID_BYTES), 0);
    yield { kind: "pending", id: owned, ...pending.own(owned, offset) };
  }
}

/** What the server remembers of idempotent producers: seconds, entries, producers with their messages, two counters. */
function* producers(bytes: ValueBytes): Waiting<ValueElement> {
  yield* bytes.wideLength();
  yield* bytes.wideLength();
  let ids = 0;
  for (let left = yield* bytes.length(); left > 0; left--) {
    yield* bytes.string();
    for (let messages = yield* bytes.length(); messages > 0; messages--, ids++) {
      yield* bytes.string();
      yield* id(bytes);
    }
  }
  yield* bytes.wideLength();
  yield* bytes.wideLength();
  return { kind: "producers", ids };
}

function* id(bytes: ValueBytes): Waiting<StreamId> {
  const ms = yield* bytes.wideLength();
  return { ms, seq: yield* bytes.wideLength() };
}
