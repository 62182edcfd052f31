import { keySlot, type RdbEntry, RdbReader, type RdbSink } from "@sluice/redis";
import { AccessKind, SnapshotType, type SnapshotRow } from "@sluice/wire";
import { laneOf } from "../lanes/lane-of.ts";
import type { SnapshotBatcher } from "../lanes/snapshot-batcher.ts";
import { RdbTransfer } from "./rdb-transfer.ts";

/** Bytes of an entry that a message holds beside its key and value, and the share of a key: a value cut at this size fits beside it. */
const KEY_SHARE_BYTES = 64 * 1024;

/**
 * One full copy on its way from a replication link into the lanes: every key is cut out of the RDB as raw bytes and goes into the
 * lane of its slot, without being decoded. Function libraries and scripts travel in lane 0.
 */
export class FullCopy {
  readonly transfer: RdbTransfer;
  readonly #lanes: readonly SnapshotBatcher[];
  readonly #row: SnapshotRow = { expireAtMs: -1, length: 0, keyLength: 0, access: 0, slot: 0, db: 0, type: 0, accessKind: AccessKind.none };
  #keys = 0;

  /** `lanes`: one for each lane, in order. */
  constructor(lanes: readonly SnapshotBatcher[]) {
    this.#lanes = lanes;
    const longest = Math.min(...lanes.map((lane) => lane.longestEntryBytes));
    this.transfer = new RdbTransfer(new RdbReader(this.#sink(), { partBytes: Math.max(1024, longest - KEY_SHARE_BYTES) }));
  }

  /** Keys so far. */
  get keys(): number {
    return this.#keys;
  }

  /** The transfer is done and the RDB verified: closes every lane's copy. */
  finish(): void {
    for (const lane of this.#lanes) lane.finish();
  }

  #sink(): RdbSink {
    let open: SnapshotBatcher | null = null;
    return {
      aux: (name, value) => {
        if (name.toString("latin1") === "lua") this.#addLoose(SnapshotType.script, value);
      },
      selectDb: () => undefined,
      resizeDb: () => undefined,
      functionLibrary: (raw) => this.#addLoose(SnapshotType.functionLibrary, raw),
      moduleAux: () => undefined,
      entry: (entry) => {
        const lane = this.#laneOf(entry);
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
        open = this.#laneOf(entry);
        open.begin(this.#rowOf(entry, 0), entry.key);
      },
      entryPart: (bytes) => open?.addPart(bytes),
      entryEnd: () => {
        open?.end();
        open = null;
        this.#keys++;
      },
    };
  }

  #laneOf(entry: Readonly<RdbEntry>): SnapshotBatcher {
    this.#row.slot = keySlot(entry.keyBytes, entry.keyStart, entry.keyEnd);
    return this.#lanes[laneOf(this.#row.slot, this.#lanes.length)] as SnapshotBatcher;
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
    const row: SnapshotRow = { expireAtMs: -1, length: value.length, keyLength: 0, access: 0, slot: 0, db: 0, type, accessKind: AccessKind.none };
    const lane = this.#lanes[0] as SnapshotBatcher;
    if (row.length <= lane.longestEntryBytes) lane.add(row, Buffer.alloc(0), value);
    else {
      lane.begin(row, Buffer.alloc(0));
      lane.addPart(value);
      lane.end();
    }
  }
}
