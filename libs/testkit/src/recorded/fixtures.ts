import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { CanonicalContent } from "../compare/canonical.ts";

/** One folder per server version; its README says how they came about. */
export const fixturesDir = fileURLToPath(new URL("../../fixtures/", import.meta.url));

/** The Redis versions that fixtures were recorded from and whose content Redis 7.0 can hold: RDB versions 6 to 10. */
export const fixtureVersions = ["2.8.24", "3.0.7", "3.2.13", "4.0.14", "5.0.14", "6.0.20", "6.2.16", "7.0.15"] as const;
/** Later ones, and Valkey: RDB versions 11, 12 and Valkey's 80. */
export const laterVersions = ["7.2.6", "7.4.1", "8.0.6", "valkey-8.1.1", "valkey-9.1.2"] as const;
export type FixtureVersion = (typeof fixtureVersions | typeof laterVersions)[number];

/** `expected` belongs to the RDB file, the others to the ends of the two recordings. */
export type ExpectedName =
  | "expected"
  | "expected-after"
  | "expected-after-diskless"
  | "expected-after-flushall"
  | "expected-after-noversion";

/**
 * The RDB came as `$<length>` (replication) or as `$EOF:<marker>` (replication-diskless); a short one with FLUSHALL; of Valkey 9 without
 * `REPLCONF version`: as `$EOF:<marker>`, or not at all where it would hold expiries of fields (replication-refused).
 */
export type RecordingName =
  | "replication"
  | "replication-diskless"
  | "replication-flushall"
  | "replication-noversion"
  | "replication-refused";

/** Path of an RDB file with every type and encoding of that version, in databases 0, 1, 11 and 15. */
export function rdbPath(version: FixtureVersion): string {
  return pathOf(version, "dump.rdb");
}

/** The content that goes with an RDB file or with the end of a recording. */
export function loadExpected(version: FixtureVersion, name: ExpectedName): CanonicalContent {
  const parsed: unknown = JSON.parse(gunzipSync(readFileSync(pathOf(version, `${name}.json.gz`))).toString("utf8"));
  if (!isContent(parsed)) throw new Error(`${name} of ${version} is no canonical content`);
  return parsed;
}

/** What a primary sent on one replication link, from the reply to PSYNC on. */
export interface Recording {
  /** The commands that were sent before, each with its reply less the CRLF. */
  readonly handshake: readonly { readonly sent: readonly string[]; readonly reply: string }[];
  /** Byte `bytes.streamStart` is replication offset `fullresync.offset` + 1. */
  readonly fullresync: { readonly replid: string; readonly offset: number };
  readonly rdbForm: "disk" | "diskless" | "refused";
  /** Indexes into `content`. */
  readonly bytes: { readonly header: number; readonly rdbStart: number; readonly rdbEnd: number; readonly streamStart: number };
  readonly finalOffset: number;
  readonly recordedAt: { readonly startMs: number; readonly endMs: number };
  readonly content: Buffer;
}

export function loadRecording(version: FixtureVersion, name: RecordingName): Recording {
  const parsed: unknown = JSON.parse(readFileSync(pathOf(version, `${name}.json`), "utf8"));
  if (!isDescription(parsed)) throw new Error(`${name} of ${version} describes no recording`);
  const content = readFileSync(pathOf(version, `${name}.bin`));
  const { rdbForm } = parsed;
  if (rdbForm !== undefined) return { ...parsed, rdbForm, content };
  // The link was closed behind the reply.
  const end = content.length;
  const bytes = { header: end, rdbStart: end, rdbEnd: end, streamStart: end };
  return { ...parsed, rdbForm: "refused", bytes, finalOffset: parsed.fullresync.offset, content };
}

function pathOf(version: FixtureVersion, file: string): string {
  return `${fixturesDir}${version.startsWith("valkey-") ? version : `redis-${version}`}/${file}`;
}

/** Our own files: one look tells whether it is the right one. */
function isContent(parsed: unknown): parsed is CanonicalContent {
  return typeof parsed === "object" && parsed !== null && "keys" in parsed && Array.isArray(parsed.keys);
}

type Description = Omit<Recording, "content" | "rdbForm"> & { readonly rdbForm?: "disk" | "diskless" };

function isDescription(parsed: unknown): parsed is Description {
  return typeof parsed === "object" && parsed !== null && "handshake" in parsed && "fullresync" in parsed;
}
