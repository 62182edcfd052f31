import {
  absoluteExpiry,
  carriesExpiry,
  CommandFramer,
  CommandId,
  CommandKind,
  commandTable,
  encodeCommand,
  encodeKeyed,
  keySlot,
  withoutTrimLimit,
  type NamedKeys,
} from "@sluice/redis";
import type { Halt } from "@sluice/runtime";
import { ChangeFlag, isOwnKey, isTemporaryKey, laneOf, type SlotSet } from "@sluice/wire";
import type { ChangeBatcher } from "../lanes/change-batcher.ts";
import { HeldPublishes } from "./held-publishes.ts";
import { laneShares } from "./lane-shares.ts";
import type { ScriptBodies } from "./script-bodies.ts";
import { forbiddenFault, severalLanesFault } from "./uncarried.ts";
import type { UnknownWrites, UnplacedCommand } from "./unknown-writes.ts";

/** From here on a source replicates absolute expiries only (Redis 7.0 expire.c, t_string.c). */
const ABSOLUTE_EXPIRY_VERSION = 70_000;
const CR = 13;
const RESTORE_ASKING = commandTable.idOf("RESTORE-ASKING");
const XADD = commandTable.idOf("XADD");
const XTRIM = commandTable.idOf("XTRIM");
/** Nothing of the command goes into a lane as it stands. */
const ELSEWHERE = -1;
/** Number of a command that is in no table. */
const UNKNOWN = -1;
/** What takes the place of these carries no expiry. */
const WITHOUT_EXPIRY: ReadonlySet<number> = new Set([UNKNOWN, CommandId.BRPOPLPUSH, CommandId.EVALSHA, XADD, XTRIM]);
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
  readonly unknown: Pick<UnknownWrites, "keysOf">;
  readonly scripts: ScriptBodies;
  /** Messages to subscribers go to the destinations, too. */
  readonly publishes: boolean;
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
  /** One in that lane, which its messages go by. */
  #transactionSlot = 0;
  /** The open transaction is in its lane already. */
  #isPassedOver = false;
  readonly #held = new HeldPublishes();
  /** What goes into the lane in place of the command at hand. */
  #instead: Buffer | null = null;
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

  /** The database that the stream is in where it begins; before the first command. What the stream says itself comes later, and counts. */
  beginIn(db: number): void {
    this.#db = db;
  }

  get isInTransaction(): boolean {
    return this.#isInTransaction;
  }

  /** Write commands so far. */
  get commands(): number {
    return this.#commands;
  }

  /**
   * Takes the next bytes. False when it stopped at a write that nobody here knows: its keys are to be learned of the source and given to
   * `goOn` before anything else. Throws `RespError` for what is no command, `Halt` SRC-006 or PIP-004 for what can't be carried.
   */
  push(chunk: Buffer): boolean {
    this.#framer.push(chunk);
    return this.#read();
  }

  /** The write at which it stopped. Its bytes hold until it goes on. */
  get unplaced(): UnplacedCommand {
    return { command: this.#framer, offset: this.#framer.offset };
  }

  /** Goes on with the write at which it stopped; as `push`. */
  goOn(keys: NamedKeys): boolean {
    this.#addKeyedBy(keys);
    if (!this.#isInTransaction) this.#boundary = this.#framer.offset;
    return this.#read();
  }

  #read(): boolean {
    const framer = this.#framer;
    while (framer.next()) {
      const id = commandTable.find(framer.buffer, framer.argStart(0), framer.argEnd(0));
      if (id < 0) {
        const keys = this.#options.unknown.keysOf(this.unplaced);
        if (keys === null) return false;
        this.#addKeyedBy(keys);
      } else {
        const kind = commandTable.kind[id];
        if (kind === CommandKind.write || id === RESTORE_ASKING) this.#addKeyed(id);
        else if (kind === CommandKind.barrier) this.#add(id, this.#soleLane(), ChangeFlag.barrier);
        else if (kind === CommandKind.control) this.#control(id);
        else if (kind === CommandKind.script) this.#script(id);
        else if (kind === CommandKind.publish) this.#publish(id);
        else if (kind === CommandKind.forbidden) throw forbiddenFault(this.#options.shard, framer);
      }
      if (!this.#isInTransaction) this.#boundary = framer.offset;
    }
    return true;
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
      if (this.#held.count > 0) this.#beginTransaction(laneOf(this.#held.slot, this.#lanes.length), this.#held.slot);
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
      if (this.#transactionLane < 0) this.#beginTransaction(lane, slot);
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
  #beginTransaction(lane: number, slot: number): void {
    const batcher = this.#lane(lane);
    this.#transactionLane = lane;
    this.#transactionSlot = slot;
    this.#isPassedOver = this.#transactionFrom < batcher.last;
    if (!this.#isPassedOver) batcher.beginUnit(this.#transactionFrom);
    for (const { command, db } of this.#held.take()) if (!this.#isPassedOver) batcher.add(command, slot, db, 0);
  }

  /** A write that is in no table, by what its own server says of it: it travels with the places of its keys. */
  #addKeyedBy(keys: NamedKeys): void {
    const lanes = this.#lanes.length;
    const first = keys.args[0] as number;
    if (keys.args.length === 1 && this.#isOwn(UNKNOWN, first)) return;
    const slot = this.#slotOf(first);
    const lane = laneOf(slot, lanes);
    if (keys.args.some((at) => laneOf(this.#slotOf(at), lanes) !== lane)) throw this.#severalLanes("a unit with keys");
    if (!this.#options.slots.has(slot)) return;
    this.#instead = encodeKeyed(this.#framer, keys);
    this.#add(UNKNOWN, (lane << 16) | slot, ChangeFlag.keyed);
    this.#instead = null;
  }

  /** Bodies are remembered, so that EVALSHA can be the EVAL that it stands for: a destination need not know the script. */
  #script(id: number): void {
    const framer = this.#framer;
    const { scripts } = this.#options;
    if (id === CommandId.EVAL && framer.argc > 1) scripts.add(framer.buffer.subarray(framer.argStart(1), framer.argEnd(1)));
    if (id === CommandId.SCRIPT) {
      const isLoad = framer.argc === 3 && this.#textOf(1).toUpperCase() === "LOAD";
      if (isLoad) scripts.add(framer.buffer.subarray(framer.argStart(2), framer.argEnd(2)));
      // Of no lane. A destination that knows the bodies keeps none for us.
      if (this.#lanes.length > 1) return;
    }
    const body = id === CommandId.EVALSHA && framer.argLengths[1] === 40 ? scripts.bodyOf(this.#textOf(1)) : null;
    if (body !== null) this.#instead = encodeCommand(["EVAL", body, ...this.#argumentsFrom(2)]);
    this.#addKeyed(id);
    this.#instead = null;
  }

  /** A message goes where its transaction goes, else into the lane of its channel's slot. */
  #publish(id: number): void {
    const framer = this.#framer;
    if (!this.#options.publishes || framer.argc !== 3) return;
    const isPlaced = this.#isInTransaction && this.#transactionLane >= 0;
    const slot = isPlaced ? this.#transactionSlot : this.#slotOfChannel();
    if (this.#isInTransaction && !isPlaced && this.#lanes.length > 1) {
      if (!this.#held.add(framer, slot, this.#db)) throw this.#severalLanes("a transaction of many messages");
      return;
    }
    this.#add(id, (laneOf(slot, this.#lanes.length) << 16) | slot, 0);
  }

  /** One of the shard's own where the channel's is another's: of a slot outside of its lane a cluster takes nothing. */
  #slotOfChannel(): number {
    const { slots } = this.#options;
    const slot = this.#slotOf(1);
    if (slots.has(slot)) return slot;
    const [own = slot] = slots;
    return own;
  }

  #copy(batcher: ChangeBatcher, id: number, slot: number, flags: number): void {
    const framer = this.#framer;
    const rewritten = this.#instead ?? this.#rewritten(id);
    const db = this.#db;
    if (rewritten === null) {
      batcher.add(framer, slot, db, carriesExpiry(id, framer) ? flags | ChangeFlag.expiry : flags);
      return;
    }
    const headerLength = rewritten.indexOf(CR) + 2;
    const argc = Number(rewritten.toString("latin1", 1, headerLength - 2));
    const marked = WITHOUT_EXPIRY.has(id) ? flags : flags | ChangeFlag.expiry;
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
    if (id === XADD || id === XTRIM) return withoutTrimLimit(id, framer);
    const absolute = this.#rewritesExpiry ? absoluteExpiry(framer, this.#options.nowMs()) : null;
    // What a slot migration brings is a value like any other to a slot that this shard owns (and keeps, if the migration is given up).
    return id === RESTORE_ASKING ? (absolute ?? encodeCommand(["RESTORE", ...this.#argumentsFrom(1)])) : absolute;
  }

  /** Views. */
  #argumentsFrom(first: number): Buffer[] {
    const { buffer, argc } = this.#framer;
    const args: Buffer[] = [];
    for (let at = first; at < argc; at++) args.push(buffer.subarray(this.#framer.argStart(at), this.#framer.argEnd(at)));
    return args;
  }

  #textOf(argument: number): string {
    return this.#framer.buffer.toString("latin1", this.#framer.argStart(argument), this.#framer.argEnd(argument));
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

  /** The source is a destination of another pipeline, which keeps its marks there: they are nothing to this one's. What it builds there is: a RENAME follows. */
  #isOwn(id: number, argument: number): boolean {
    const framer = this.#framer;
    const [start, end] = [framer.argStart(argument), framer.argEnd(argument)];
    if (!isOwnKey(framer.buffer, start, end) || isTemporaryKey(framer.buffer, start, end)) return false;
    return id === UNKNOWN || commandTable.hasOneKey(id) || framer.argc === 2;
  }

  #slotOf(argument: number): number {
    const framer = this.#framer;
    return keySlot(framer.buffer, framer.argStart(argument), framer.argEnd(argument));
  }

  /** A command that changes each of its keys by itself: every lane gets it with its own keys. `step`: arguments of one key. */
  #addApart(step: number): void {
    const framer = this.#framer;
    const keys = this.#keys.subarray(0, this.#keyCount);
    const shares = laneShares(framer, keys, step, this.#lanes.length, this.#options.slots);
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

  #severalLanes(what: string): Halt {
    return severalLanesFault(this.#options.shard, this.#framer, what);
  }
}
