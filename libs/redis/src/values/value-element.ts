import type { PendingEntries } from "./pending-ids.ts";
import type { StreamId } from "./stream-id.ts";

/**
 * A piece of a value, in the order of the bytes. What each type consists of:
 * · string: one `part` or more · list and set: `item`s · zset: `scored` · hash: `field`s
 * · stream: `entry`s in ascending order, one `stream`, and for each group one `group`, then for each of its consumers one `consumer`
 *   and its `pending`s; at last, from Redis 8.6, `producers`
 */
export type ValueElement =
  | { readonly kind: "part"; readonly bytes: Buffer }
  | { readonly kind: "item"; readonly item: Buffer }
  | { readonly kind: "scored"; readonly member: Buffer; readonly score: number }
  | HashField
  | { readonly kind: "entry"; readonly id: StreamId; readonly fieldsAndValues: readonly Buffer[] }
  | StreamState
  | StreamGroup
  | { readonly kind: "consumer"; readonly name: Buffer }
  | PendingEntry
  | { readonly kind: "producers"; readonly ids: number };

export interface HashField {
  readonly kind: "field";
  readonly field: Buffer;
  readonly value: Buffer;
  /** Absolute; -1: none. */
  readonly expireAtMs: number;
}

export interface StreamState {
  readonly kind: "stream";
  readonly length: number;
  readonly lastId: StreamId;
  /** Unknown in values of servers before 7.0, as is `maxDeletedId`. */
  readonly entriesAdded: bigint | undefined;
  readonly maxDeletedId: StreamId | undefined;
}

export interface StreamGroup {
  readonly kind: "group";
  readonly name: Buffer;
  readonly lastId: StreamId;
  /** Undefined where the server did not know it, and in values of servers before 7.0. */
  readonly entriesRead: bigint | undefined;
  readonly pending: PendingEntries;
}

/** Of the consumer named last. */
export interface PendingEntry {
  readonly kind: "pending";
  readonly id: StreamId;
  readonly deliveredAtMs: number;
  readonly deliveries: number;
}

/** Elements, with an undefined wherever more bytes are needed before it is resumed. */
export type ValueElements = Generator<ValueElement | undefined, void>;
