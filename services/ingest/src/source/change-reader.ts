import {
  absoluteExpiry,
  carriesExpiry,
  CommandFramer,
  CommandId,
  CommandKind,
  commandTable,
  encodeCommand,
  keySlot,
  withoutTrimLimit,
} from "@sluice/redis";
import { Halt, printable } from "@sluice/runtime";
import { ChangeFlag, isOwnKey, laneOf, type SlotSet } from "@sluice/wire";
import type { ChangeBatcher } from "../lanes/change-batcher.ts";

/** From here on a source replicates absolute expiries only (Redis 7.0 expire.c, t_string.c). */
const ABSOLUTE_EXPIRY_VERSION = 70_000;
const CR = 13;
const RESTORE_ASKING = commandTable.idOf("RESTORE-ASKING");
const XADD = commandTable.idOf("XADD");
const XTRIM = commandTable.idOf("XTRIM");
/** Nothing of the command goes into a lane as it stands. */
const ELSEWHERE = -1;
/** Commands that change each of their keys by itself, with the arguments of one key: taking them apart by lane is exact. */
const APART: ReadonlyMap<number, number> = new Map([
  [CommandId.DEL, 1],
  [CommandId.UNLINK, 1],
  [CommandId.MSET, 2],
]);

export interface ChangeReaderOptions {
  readonly shard: string;
  /** By lane, with nothing where a lane is another shard's. */
  readonly lanes: readonly (ChangeBatcher | undefined)[];
  /** The slots that the shard owns. */
  readonly slots: SlotSet;
  /** Offset and selected database before the first byte. */
  readonly offset: number;
  readonly db: number;
  /** See `SourceFacts.version`. */
  readonly version: number;
  readonly nowMs: () => number;
}

/**
 * Takes a replication stream apart: finds the commands, tells units from bookkeeping, and puts the raw bytes of every write into
 * the lane of its key. Passed over are units that a lane holds already (it was ahead when the link was resumed), commands on
 * slots that the shard does not own (keys that are on their way from one shard to another, whose arrival begins a new epoch), and
 * marks of other pipelines.
 *
 * Nothing is decoded but names and keys, and neither as a string: this is the hot path of ingest.
 */
export class ChangeReader {
  readonly #options: ChangeReaderOptions;
  readonly #framer: CommandFramer;
  readonly #rewritesExpiry: boolean;
  readonly #lanes: readonly (ChangeBatcher | undefined)[];
  #keys = new Int32Array(1024);
  #keyCount = 0;
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
      if (kind === CommandKind.write || kind === CommandKind.script || id === RESTORE_ASKING) this.#addKeyed(id);
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

  #addKeyed(id: number): void {
    const slotAndLane = this.#laneOfKeys(id);
    if (slotAndLane !== ELSEWHERE) this.#add(id, slotAndLane, 0);
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
    const isExpiry = id !== CommandId.BRPOPLPUSH && id !== XADD && id !== XTRIM;
    const marked = isExpiry ? flags | ChangeFlag.expiry : flags;
    batcher.add({ buffer: rewritten, start: 0, end: rewritten.length, argc, headerLength }, slot, db, marked);
  }

  /**
   * Rewritten at receipt, once: a relative expiry, which counts from now (H38), a blocking command, which no transaction may hold (H40), and
   * what only a server's own primary may say.
   */
  #rewritten(id: number): Buffer | null {
    const framer = this.#framer;
    if (id === CommandId.BRPOPLPUSH) {
      return encodeCommand([
        "RPOPLPUSH",
        framer.buffer.subarray(framer.argStart(1), framer.argEnd(1)),
        framer.buffer.subarray(framer.argStart(2), framer.argEnd(2)),
      ]);
    }
    // What a slot migration brings is a value like any other to a slot that this shard owns (and keeps, if the migration is given up).
    if (id === RESTORE_ASKING) return this.#renamed("RESTORE");
    if (id === XADD || id === XTRIM) return withoutTrimLimit(id, framer);
    return this.#rewritesExpiry ? absoluteExpiry(framer, this.#options.nowMs()) : null;
  }

  #renamed(name: string): Buffer {
    const framer = this.#framer;
    const args: (string | Buffer)[] = [name];
    for (let index = 1; index < framer.argc; index++)
      args.push(framer.buffer.subarray(framer.argStart(index), framer.argEnd(index)));
    return encodeCommand(args);
  }

  /** Slot of the first key in the low 16 bits, the lane of all keys above them; `ELSEWHERE` when there is nothing left to add. */
  #laneOfKeys(id: number): number {
    const framer = this.#framer;
    const lanes = this.#lanes.length;
    const first = commandTable.firstKeyArg(id, framer);
    if (first <= 0) {
      if (lanes === 1) return 0;
      throw this.#severalLanes("a command without keys");
    }
    if (this.#isOwn(id, first)) return ELSEWHERE;
    const slot = this.#slotOf(first);
    if (lanes === 1) return this.#options.slots.has(slot) ? slot : ELSEWHERE;
    const lane = laneOf(slot, lanes);
    if (!commandTable.hasOneKey(id) && !this.#areKeysIn(id, lane)) {
      const step = APART.get(id);
      if (step === undefined || this.#isInTransaction) throw this.#severalLanes("a unit with keys");
      this.#addApart(step);
      return ELSEWHERE;
    }
    return this.#options.slots.has(slot) ? (lane << 16) | slot : ELSEWHERE;
  }

  /** Whether all keys are in one lane; `#keys` holds their arguments. */
  #areKeysIn(id: number, lane: number): boolean {
    const framer = this.#framer;
    if (this.#keys.length < framer.argc) this.#keys = new Int32Array(framer.argc * 2);
    this.#keyCount = commandTable.keyArgs(id, framer, this.#keys);
    for (let index = 0; index < this.#keyCount; index++) {
      if (laneOf(this.#slotOf(this.#keys[index] as number), this.#lanes.length) !== lane) return false;
    }
    return true;
  }

  /** The source is a destination of another pipeline, which keeps its marks there: they are nothing to this one's. */
  #isOwn(id: number, argument: number): boolean {
    const framer = this.#framer;
    if (!isOwnKey(framer.buffer, framer.argStart(argument), framer.argEnd(argument))) return false;
    return commandTable.hasOneKey(id) || framer.argc === 2;
  }

  #slotOf(argument: number): number {
    const framer = this.#framer;
    return keySlot(framer.buffer, framer.argStart(argument), framer.argEnd(argument));
  }

  /** A command that changes each of its keys by itself: every lane gets it with its own keys. `step`: arguments of one key. */
  #addApart(step: number): void {
    const framer = this.#framer;
    const argument = (index: number): Buffer => framer.buffer.subarray(framer.argStart(index), framer.argEnd(index));
    const shares = new Map<number, { args: Buffer[]; slot: number }>();
    for (let index = 0; index < this.#keyCount; index++) {
      const at = this.#keys[index] as number;
      const slot = this.#slotOf(at);
      if (!this.#options.slots.has(slot)) continue;
      const lane = laneOf(slot, this.#lanes.length);
      const share = shares.get(lane) ?? { args: [argument(0)], slot };
      shares.set(lane, share);
      for (let part = 0; part < step; part++) share.args.push(argument(at + part));
    }
    this.#commands++;
    for (const [lane, { args, slot }] of shares) {
      const batcher = this.#lane(lane);
      if (framer.offset <= batcher.last) continue;
      const raw = encodeCommand(args);
      batcher.beginUnit(framer.offset - (framer.end - framer.start));
      batcher.add(
        { buffer: raw, start: 0, end: raw.length, argc: args.length, headerLength: raw.indexOf(CR) + 2 },
        slot,
        this.#db,
        0,
      );
      batcher.endUnit(framer.offset, this.#db);
    }
  }

  #soleLane(): number {
    if (this.#lanes.length > 1) throw this.#severalLanes("a command on a whole keyspace");
    return 0;
  }

  #lane(index: number): ChangeBatcher {
    const batcher = this.#lanes[index];
    if (batcher === undefined) throw new Error(`lane ${index} is not one of shard ${this.#options.shard}`);
    return batcher;
  }

  #unknown(): Halt {
    return new Halt(
      "SRC-006",
      `source ${this.#options.shard} sent ${this.#shownName()} at offset ${this.#framer.offset}, which is not known as a write`,
    );
  }

  #severalLanes(what: string): Halt {
    const { shard } = this.#options;
    return new Halt(
      "PIP-004",
      `source ${shard} sent ${what} (${this.#shownName()}) that concerns several lanes, at offset ${this.#framer.offset}`,
    );
  }

  #shownName(): string {
    const framer = this.#framer;
    const end = Math.min(framer.argEnd(0), framer.argStart(0) + 40);
    return printable(framer.buffer.toString("latin1", framer.argStart(0), end));
  }
}
