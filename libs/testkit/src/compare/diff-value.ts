import type { CanonicalGroup, CanonicalKey, CanonicalStream, CanonicalValue } from "./canonical.ts";
import { hllRegisters } from "./hll-registers.ts";

/**
 * What a copy may have otherwise because replication does not carry it:
 * seenTime and activeTime of consumers; entriesRead of groups (Redis 7.0 and 7.2 do not replicate it with XREADGROUP);
 * emptyConsumers (a read that creates a consumer and gives it nothing is not replicated);
 * deletedPending (entries pending although deleted: XCLAIM drops them from 7.0 on).
 */
export type NotCarried = "seenTime" | "activeTime" | "entriesRead" | "emptyConsumers" | "deletedPending";

export interface DiffRules {
  readonly ignore: ReadonlySet<NotCarried>;
  /** The expiry that the actual side must have for an expiry of the expected side; must grow with its argument. */
  readonly expiryOf: (expiryMs: number) => number;
  /** How much later than that it may be. */
  readonly expiryMayBeLaterByMs: number;
}

/** The first thing in which two keys differ, in words, or undefined. */
export function diffKey(expected: CanonicalKey, actual: CanonicalKey, rules: DiffRules): string | undefined {
  return diffValue(expected, actual, rules) ?? diffExpiry(expected.pexpireat, actual.pexpireat, rules);
}

function diffExpiry(expected: number | null, actual: number | null, rules: DiffRules): string | undefined {
  if (expected === null) return actual === null ? undefined : `expires at ${actual}, expected no expiry`;
  const due = rules.expiryOf(expected);
  if (actual === null) return `has no expiry, expected ${due}`;
  const laterMs = actual - due;
  if (laterMs >= 0 && laterMs <= rules.expiryMayBeLaterByMs) return undefined;
  return `expires at ${actual}, expected ${due} (${expected} at the expected side)`;
}

function diffValue(expected: CanonicalValue, actual: CanonicalValue, rules: DiffRules): string | undefined {
  if (expected.type === "string" && actual.type === "string") return diffString(expected.value, actual.value);
  if (expected.type === "list" && actual.type === "list") return diffSequence("element", expected.value, actual.value);
  if (expected.type === "set" && actual.type === "set") return diffSequence("member", expected.value, actual.value);
  if (expected.type === "hash" && actual.type === "hash") return diffHash(expected.value, actual.value);
  if (expected.type === "zset" && actual.type === "zset") return diffScores(expected.value, actual.value);
  if (expected.type === "stream" && actual.type === "stream") return diffStream(expected.value, actual.value, rules.ignore);
  return `type ${actual.type}, expected ${expected.type}`;
}

function diffString(expected: string, actual: string): string | undefined {
  if (expected === actual) return undefined;
  const [left, right] = [Buffer.from(expected, "base64"), Buffer.from(actual, "base64")];
  const [ours, theirs] = [hllRegisters(left), hllRegisters(right)];
  if (ours !== undefined && theirs !== undefined && Buffer.compare(ours, theirs) === 0) return undefined;
  if (left.length !== right.length) return `value of ${right.length} bytes, expected ${left.length} bytes`;
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return `value differs from byte ${at} of ${left.length}`;
}

function diffSequence(what: string, expected: readonly unknown[], actual: readonly unknown[]): string | undefined {
  const at = expected.findIndex((item, index) => !isSame(item, actual[index]));
  if (at >= 0)
    return `${what} ${at} of ${actual.length} is ${show(actual[at])}, expected ${show(expected[at])} (of ${expected.length})`;
  return expected.length === actual.length ? undefined : `${actual.length} × ${what}, expected ${expected.length}`;
}

type Field = readonly [field: string, value: string, pexpireat?: number];

/** Expiries of fields are left to the callers that can read them. */
function diffHash(expected: readonly Field[], actual: readonly Field[]): string | undefined {
  const bare = (fields: readonly Field[]): string[][] => fields.map(([field, value]) => [field, value]);
  return diffSequence("field", bare(expected), bare(actual));
}

/** By member: -0 equals 0 and 0.1 equals 0.10000000000000001, so the order of members with equal scores proves nothing. */
function diffScores(
  expected: readonly (readonly [string, string])[],
  actual: readonly (readonly [string, string])[],
): string | undefined {
  const scores = new Map(actual.map(([member, score]) => [member, parseScore(score)]));
  for (const [member, score] of expected) {
    const found = scores.get(member);
    if (found === undefined) return `member ${show(member)} is missing`;
    if (found !== parseScore(score)) return `score of ${show(member)} is ${found}, expected ${score}`;
  }
  return scores.size === expected.length ? undefined : `${scores.size} members, expected ${expected.length}`;
}

function parseScore(text: string): number {
  if (text === "inf") return Infinity;
  return text === "-inf" ? -Infinity : Number(text);
}

function diffStream(expected: CanonicalStream, actual: CanonicalStream, ignore: ReadonlySet<NotCarried>): string | undefined {
  const entries = diffSequence("entry", expected.entries, actual.entries);
  if (entries !== undefined) return entries;
  if (expected.lastId !== actual.lastId) return `last id ${actual.lastId}, expected ${expected.lastId}`;
  const isKnown = expected.entriesAdded !== null && actual.entriesAdded !== null; // not before 7.0
  if (isKnown && expected.entriesAdded !== actual.entriesAdded) {
    return `entries added ${actual.entriesAdded}, expected ${expected.entriesAdded}`;
  }
  if (isKnown && expected.maxDeletedId !== actual.maxDeletedId) {
    return `max deleted id ${actual.maxDeletedId}, expected ${expected.maxDeletedId}`;
  }
  return diffSequence("group", carriedGroups(expected, ignore), carriedGroups(actual, ignore));
}

function carriedGroups(stream: CanonicalStream, ignore: ReadonlySet<NotCarried>): unknown[] {
  const present = new Set(stream.entries.map(([id]) => id));
  return stream.groups.map((group) => carried(group, present, ignore));
}

/** A group without what `ignore` names. */
function carried(group: CanonicalGroup, present: ReadonlySet<string>, ignore: ReadonlySet<NotCarried>): unknown {
  const keeps = (id: string): boolean => !ignore.has("deletedPending") || present.has(id);
  const consumers = group.consumers.map((consumer) => ({
    name: consumer.name,
    seenTime: ignore.has("seenTime") ? 0 : consumer.seenTime,
    activeTime: ignore.has("activeTime") ? 0 : consumer.activeTime,
    pending: consumer.pending.filter(keeps),
  }));
  return {
    name: group.name,
    lastId: group.lastId,
    entriesRead: ignore.has("entriesRead") ? null : group.entriesRead,
    pel: group.pel.filter(([id]) => keeps(id)),
    consumers: ignore.has("emptyConsumers") ? consumers.filter(({ pending }) => pending.length > 0) : consumers,
  };
}

function isSame(left: unknown, right: unknown): boolean {
  return left === right || JSON.stringify(left) === JSON.stringify(right);
}

function show(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
