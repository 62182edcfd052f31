import {
  absoluteExpiry,
  carriesExpiry,
  CommandFramer,
  CommandId,
  CommandKind,
  commandTable,
  encodeCommand,
  keySlot,
} from "@sluice/redis";
import { Halt, printable } from "@sluice/runtime";
import { ChangeFlag } from "@sluice/wire";
import type { ChangeBatcher } from "../lanes/change-batcher.ts";
import { laneOf } from "../lanes/lane-of.ts";

/** From here on a source replicates absolute expiries only (Redis 7.0 expire.c, t_string.c). */
const ABSOLUTE_EXPIRY_VERSION = 70_000;
const CR = 13;

export interface ChangeReaderOptions {
  readonly shard: string;
  /** One for each lane, in order. */
  readonly lanes: readonly ChangeBatcher[];
  /** Offset and selected database before the first byte. */
  readonly offset: number;
  readonly db: number;
  /** See `SourceFacts.version`. */
  readonly version: number;
  readonly nowMs: () => number;
}

/**
 * Takes a replication stream apart: finds the commands, tells units from bookkeeping, and puts the raw bytes of every write into
 * the lane of its key. Units that a lane holds already (it was ahead when the link was resumed) are passed over.
 *
 * Nothing is decoded but names and keys, and neither as a string: this is the hot path of ingest.
 */
export class ChangeReader {
  readonly #options: ChangeReaderOptions;
  readonly #framer: CommandFramer;
  readonly #rewritesExpiry: boolean;
  readonly #lanes: readonly ChangeBatcher[];
  #keys = new Int32Array(1024);
  #db: number;
  /** End of the last unit: where a resume may start. */
  #boundary: number;
  #isInTransaction = false;
  #transactionFrom = 0;
  /** Lane of the open transaction, -1 while none of its commands makes a unit. */
  #transactionLane = -1;
  /** The open transaction is in its lane already. */
  #isPassedOver = false;
  #commands = 0;

  constructor(options: ChangeReaderOptions) {
    this.#options = options;
    this.#framer = new CommandFramer({ offset: options.offset });
    this.#lanes = options.lanes;
    this.#db = options.db;
    this.#boundary = options.offset;
    this.#rewritesExpiry = options.version < ABSOLUTE_EXPIRY_VERSION;
  }

  /** End of the last unit or bookkeeping command that was read, outside a transaction. */
  get boundary(): number {
    return this.#boundary;
  }

  /** Database selected at `boundary`. */
  get db(): number {
    return this.#db;
  }

  get isInTransaction(): boolean {
    return this.#isInTransaction;
  }

  /** Write commands so far. */
  get commands(): number {
    return this.#commands;
  }

  /** Takes the next bytes. Throws `RespError` for what is no command, `Halt` SRC-006 or PIP-004 for what can't be carried. */
  push(chunk: Buffer): void {
    const framer = this.#framer;
    framer.push(chunk);
    while (framer.next()) {
      const id = commandTable.find(framer.buffer, framer.argStart(0), framer.argEnd(0));
      const kind = id < 0 ? CommandKind.forbidden : commandTable.kind[id];
      if (kind === CommandKind.write || kind === CommandKind.script) this.#add(id, this.#laneOfKeys(id), 0);
      else if (kind === CommandKind.barrier) this.#add(id, this.#soleLane(), ChangeFlag.barrier);
      else if (kind === CommandKind.control) this.#control(id);
      else if (kind === CommandKind.forbidden) throw this.#unknown();
      if (!this.#isInTransaction) this.#boundary = framer.offset;
    }
  }

  #control(id: number): void {
    const framer = this.#framer;
    if (id === CommandId.SELECT) {
      this.#db = Number(framer.buffer.toString("latin1", framer.argStart(1), framer.argEnd(1)));
    } else if (id === CommandId.MULTI) {
      this.#isInTransaction = true;
      this.#transactionFrom = framer.offset - (framer.end - framer.start);
      this.#transactionLane = -1;
      this.#isPassedOver = false;
    } else if (id === CommandId.EXEC) {
      if (this.#transactionLane >= 0 && !this.#isPassedOver) this.#lane(this.#transactionLane).endUnit(framer.offset, this.#db);
      this.#isInTransaction = false;
    }
  }

  #add(id: number, slotAndLane: number, flags: number): void {
    const framer = this.#framer;
    const slot = slotAndLane & 0xffff;
    const lane = slotAndLane >>> 16;
    const batcher = this.#lane(lane);
    this.#commands++;
    if (this.#isInTransaction) {
      if (this.#transactionLane < 0) this.#beginTransaction(lane, batcher);
      else if (this.#transactionLane !== lane) throw this.#severalLanes("a transaction");
      if (this.#isPassedOver) return;
      this.#copy(batcher, id, slot, flags);
      return;
    }
    if (framer.offset <= batcher.last) return;
    batcher.beginUnit(framer.offset - (framer.end - framer.start));
    this.#copy(batcher, id, slot, flags);
    batcher.endUnit(framer.offset, this.#db);
  }

  /** A transaction that a lane holds already lies whole before the lane's end, so its begin does, too. */
  #beginTransaction(lane: number, batcher: ChangeBatcher): void {
    this.#transactionLane = lane;
    this.#isPassedOver = this.#transactionFrom < batcher.last;
    if (!this.#isPassedOver) batcher.beginUnit(this.#transactionFrom);
  }

  #copy(batcher: ChangeBatcher, id: number, slot: number, flags: number): void {
    const framer = this.#framer;
    const rewritten = this.#rewritten(id);
    const db = this.#db;
    if (rewritten === null) {
      batcher.add(framer, slot, db, carriesExpiry(id, framer) ? flags | ChangeFlag.expiry : flags);
      return;
    }
    const headerLength = rewritten.indexOf(CR) + 2;
    const argc = Number(rewritten.toString("latin1", 1, headerLength - 2));
    const isExpiry = id !== CommandId.BRPOPLPUSH;
    const marked = isExpiry ? flags | ChangeFlag.expiry : flags;
    batcher.add({ buffer: rewritten, start: 0, end: rewritten.length, argc, headerLength }, slot, db, marked);
  }

  /** Rewritten at receipt, once: a relative expiry, which counts from now (H38), and a blocking command, which no transaction may hold (H40). */
  #rewritten(id: number): Buffer | null {
    const framer = this.#framer;
    if (id === CommandId.BRPOPLPUSH) {
      return encodeCommand([
        "RPOPLPUSH",
        framer.buffer.subarray(framer.argStart(1), framer.argEnd(1)),
        framer.buffer.subarray(framer.argStart(2), framer.argEnd(2)),
      ]);
    }
    return this.#rewritesExpiry ? absoluteExpiry(framer, this.#options.nowMs()) : null;
  }

  /** Slot of the first key in the low 16 bits, the lane of all keys above them. */
  #laneOfKeys(id: number): number {
    const framer = this.#framer;
    const lanes = this.#lanes.length;
    const first = commandTable.firstKeyArg(id, framer);
    if (first <= 0) {
      if (lanes === 1) return 0;
      throw this.#severalLanes("a command without keys");
    }
    const slot = keySlot(framer.buffer, framer.argStart(first), framer.argEnd(first));
    if (lanes === 1) return slot;
    const lane = laneOf(slot, lanes);
    if (!commandTable.hasOneKey(id)) this.#checkKeys(id, lane);
    return (lane << 16) | slot;
  }

  #checkKeys(id: number, lane: number): void {
    const framer = this.#framer;
    if (this.#keys.length < framer.argc) this.#keys = new Int32Array(framer.argc * 2);
    const count = commandTable.keyArgs(id, framer, this.#keys);
    for (let index = 0; index < count; index++) {
      const key = this.#keys[index] as number;
      const slot = keySlot(framer.buffer, framer.argStart(key), framer.argEnd(key));
      if (laneOf(slot, this.#lanes.length) !== lane) throw this.#severalLanes("a command with keys");
    }
  }

  #soleLane(): number {
    if (this.#lanes.length > 1) throw this.#severalLanes("a command on a whole keyspace");
    return 0;
  }

  #lane(index: number): ChangeBatcher {
    return this.#lanes[index] as ChangeBatcher;
  }

  #unknown(): Halt {
    return new Halt("SRC-006", `source ${this.#options.shard} sent ${this.#shownName()} at offset ${this.#framer.offset}, which is not known as a write`);
  }

  #severalLanes(what: string): Halt {
    const { shard } = this.#options;
    return new Halt("PIP-004", `source ${shard} sent ${what} (${this.#shownName()}) that concerns several lanes, at offset ${this.#framer.offset}`);
  }

  #shownName(): string {
    const framer = this.#framer;
    const end = Math.min(framer.argEnd(0), framer.argStart(0) + 40);
    return printable(framer.buffer.toString("latin1", framer.argStart(0), end));
  }
}
