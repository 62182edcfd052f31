import { keySlot, type RdbEntry, RdbReader, type RdbSink } from "@sluice/redis";
import type { Logger } from "@sluice/runtime";
import {
  AccessKind,
  isOwnKey,
  isTemporaryKey,
  laneOf,
  SnapshotType,
  type CopyRecord,
  type Pipeline,
  type SlotSet,
  type SnapshotRow,
} from "@sluice/wire";
import type { SnapshotBatcher } from "../lanes/snapshot-batcher.ts";
import { RdbTransfer } from "./rdb-transfer.ts";
import type { ScriptBodies } from "./script-bodies.ts";
import { SkippedEntries } from "./skipped-entries.ts";

/** Bytes of an entry that a message holds beside its key and value, and the share of a key: a value cut at this size fits beside it. */
const KEY_SHARE_BYTES = 64 * 1024;

export interface FullCopyOptions {
  readonly shard: string;
  /** Is told the scripts that the RDB holds. */
  readonly scripts?: Pick<ScriptBodies, "add">;
  /** What becomes of entries whose type is not known; halt where absent. */
  readonly unknown?: Pipeline["source"]["unknown"] | undefined;
  readonly log?: Logger;
}

/**
 * One full copy on its way from a replication link into the lanes: every key is cut out of the RDB as raw bytes and goes into the
 * lane of its slot, without being decoded. Function libraries and scripts travel in the shard's first lane.
 */
export class FullCopy {
  readonly transfer: RdbTransfer;
  readonly #lanes: readonly (SnapshotBatcher | undefined)[];
  readonly #slots: SlotSet;
  readonly #first: SnapshotBatcher;
  readonly #row: SnapshotRow = {
    expireAtMs: -1,
    length: 0,
    keyLength: 0,
    access: 0,
    slot: 0,
    db: 0,
    type: 0,
    accessKind: AccessKind.none,
  };
  readonly #skipped: SkippedEntries | null;
  readonly #scripts: Pick<ScriptBodies, "add"> | undefined;
  #keys = 0;
  #streamDb: number | null = null;

  /** `lanes`: by lane, with nothing where a lane is another shard's. */
  constructor(lanes: readonly (SnapshotBatcher | undefined)[], slots: SlotSet, options: FullCopyOptions) {
    const { scripts, unknown = "halt", log } = options;
    this.#scripts = scripts;
    this.#skipped = log === undefined ? null : new SkippedEntries(log);
    this.#lanes = lanes;
    this.#slots = slots;
    const own = lanes.filter((lane) => lane !== undefined);
    if (own[0] === undefined) throw new RangeError("a full copy needs a lane");
    this.#first = own[0];
    const longest = Math.min(...own.map((lane) => lane.longestEntryBytes));
    const partBytes = Math.max(1024, longest - KEY_SHARE_BYTES);
    this.transfer = new RdbTransfer(new RdbReader(this.#sink(), { partBytes, unknown }), `source ${options.shard}`);
  }

  /** The database that the stream behind the copy is in, from 4.0 on (rdb.c, `rdbSaveInfoAuxFields`); null where the RDB does not say it. */
  get streamDb(): number | null {
    return this.#streamDb;
  }

  /** Keys so far. */
  get keys(): number {
    return this.#keys;
  }

  /** How far it is; `expectedKeys`: by what the source said of itself before. */
  progress(expectedKeys: number): CopyRecord {
    const { passedBytes, announcedBytes } = this.transfer;
    const keys = this.#keys;
    return { keys, expectedKeys: Math.max(expectedKeys, keys), bytes: passedBytes, expectedBytes: announcedBytes };
  }

  /** The transfer is done and the RDB verified: closes every lane's copy. `saysOffset`: see `SnapshotBatcher.finish`. */
  finish(saysOffset = false): void {
    this.#skipped?.end();
    for (const lane of this.#lanes) lane?.finish(saysOffset);
  }

  #sink(): RdbSink {
    let open: SnapshotBatcher | null = null;
    return {
      aux: (name, value) => {
        const field = name.toString("latin1");
        if (field === "repl-stream-db") this.#streamDb = databaseIn(value);
        if (field !== "lua") return;
        this.#scripts?.add(value);
        this.#addLoose(SnapshotType.script, value);
      },
      selectDb: () => undefined,
      resizeDb: () => undefined,
      functionLibrary: (raw) => this.#addLoose(SnapshotType.functionLibrary, raw),
      moduleAux: () => undefined,
      entry: (entry) => {
        const lane = this.#laneOf(entry);
        if (lane === undefined) return;
        const row = this.#rowOf(entry, entry.valueEnd - entry.valueStart);
        if (row.length <= lane.longestEntryBytes) lane.add(row, entry.key, entry.value);
        else {
          lane.begin(row, entry.key);
          lane.addPart(entry.value);
          lane.end();
        }
        this.#keys++;
      },
      entryStart: (entry) => {
        open = this.#laneOf(entry) ?? null;
        open?.begin(this.#rowOf(entry, 0), entry.key);
      },
      entryPart: (bytes) => open?.addPart(bytes),
      entryEnd: () => {
        open?.end();
        open = null;
        this.#keys++;
      },
      skipped: ({ key, type }) => this.#skipped?.add(key, type),
    };
  }

  /**
   * Nothing for a key of a slot that the shard does not own: it was left behind, or its slot has moved since. Nor for a mark of
   * another pipeline; but for what it is building, see `isTemporaryKey`.
   */
  #laneOf(entry: Readonly<RdbEntry>): SnapshotBatcher | undefined {
    const { keyBytes, keyStart, keyEnd } = entry;
    if (isOwnKey(keyBytes, keyStart, keyEnd) && !isTemporaryKey(keyBytes, keyStart, keyEnd)) return undefined;
    this.#row.slot = keySlot(entry.keyBytes, entry.keyStart, entry.keyEnd);
    return this.#slots.has(this.#row.slot) ? this.#lanes[laneOf(this.#row.slot, this.#lanes.length)] : undefined;
  }

  /** The one row of this copy, filled anew; its slot was set by `#laneOf`. */
  #rowOf(entry: Readonly<RdbEntry>, valueLength: number): SnapshotRow {
    const row = this.#row;
    row.expireAtMs = entry.expireAtMs;
    row.keyLength = entry.keyEnd - entry.keyStart;
    row.length = row.keyLength + valueLength;
    row.db = entry.db;
    row.type = entry.type;
    if (entry.idleSeconds >= 0) {
      row.accessKind = AccessKind.idleSeconds;
      row.access = entry.idleSeconds;
    } else if (entry.freq >= 0) {
      row.accessKind = AccessKind.frequency;
      row.access = entry.freq;
    } else {
      row.accessKind = AccessKind.none;
      row.access = 0;
    }
    return row;
  }

  #addLoose(type: number, value: Buffer): void {
    const row: SnapshotRow = {
      expireAtMs: -1,
      length: value.length,
      keyLength: 0,
      access: 0,
      slot: 0,
      db: 0,
      type,
      accessKind: AccessKind.none,
    };
    const lane = this.#first;
    if (row.length <= lane.longestEntryBytes) lane.add(row, Buffer.alloc(0), value);
    else {
      lane.begin(row, Buffer.alloc(0));
      lane.addPart(value);
      lane.end();
    }
  }
}

function databaseIn(value: Buffer): number | null {
  const text = value.toString("latin1");
  return /^\d{1,9}$/.test(text) ? Number(text) : null;
}
