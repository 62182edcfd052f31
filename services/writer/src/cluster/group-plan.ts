import { CommandFramer, CommandId, commandTable, encodeCommand, keySlot, shiftExpiry, withoutKeys } from "@sluice/redis";
import { Halt, printable } from "@sluice/runtime";
import { ChangeFlag, type ChangeRows } from "@sluice/wire";
import type { ChangeSlice } from "../apply/plan-changes.ts";
import type { GroupCommand } from "./apply-script.ts";

const CR = 13;

/** A unit, or the part of one that concerns one slot, ready for a slot's group. */
export interface SlotUnit {
  readonly slot: number;
  /** End of the unit in the source's stream, as distance from the batch's `previous`. */
  readonly end: number;
  readonly commands: readonly GroupCommand[];
  readonly keys: readonly Buffer[];
  /** Keys, as latin1 text, that the unit may leave without a value. */
  readonly emptied: readonly string[];
  /** No script may run it: a command that scripts are refused, or one that may need a key which an earlier one of it has removed. */
  readonly isDelicate: boolean;
}

const NONE: readonly string[] = [];

/** Commands after which their keys always exist. All others may remove a key. */
const KEEPERS: ReadonlySet<number> = new Set(
  (
    "SET SETNX SETEX PSETEX GETSET INCR INCRBY INCRBYFLOAT DECR DECRBY APPEND SETRANGE SETBIT BITFIELD MSET PFADD PFCOUNT " +
    "HSET HMSET HSETNX HINCRBY HINCRBYFLOAT LPUSH RPUSH LPUSHX RPUSHX LINSERT LSET SADD ZADD ZINCRBY GEOADD " +
    "XADD XTRIM XDEL XACK XCLAIM XGROUP XSETID PERSIST PEXPIREAT EXPIREAT"
  )
    .split(" ")
    .map((name) => commandTable.idOf(name)),
);

/** Scripts of servers before 7.0 may not run it; it stands for XGROUP CREATECONSUMER where there is none. */
const XREADGROUP = commandTable.idOf("XREADGROUP");

/** Commands that change each of their keys by itself, so that taking them apart by slot is exact. `step`: arguments of one key. */
const APART: ReadonlyMap<number, number> = new Map([
  [CommandId.DEL, 1],
  [CommandId.UNLINK, 1],
  [CommandId.MSET, 2],
]);

/**
 * Takes the rows of a slice apart into units with their slots and keys. A unit is on one slot; DEL, UNLINK and MSET are taken
 * apart where they stand alone. Any other unit on several slots halts its lane: nobody may apply it in pieces unnoticed.
 */
export class SlotPlanner {
  readonly #shift: (expireAtMs: number) => number;
  readonly #label: string;
  #keys = new Int32Array(256);

  constructor(shift: (expireAtMs: number) => number, label: string) {
    this.#shift = shift;
    this.#label = label;
  }

  /**
   * Calls `take` for every unit of the slice, in order, and `takeLoose` for each command that belongs to no slot and is every node's. Throws `Halt`
   * PIP-004 or DST-010.
   */
  each(
    { rows, body, from }: ChangeSlice,
    take: (unit: SlotUnit) => void,
    takeLoose: (args: readonly Buffer[]) => void = () => undefined,
  ): void {
    const framer = new CommandFramer({}, body);
    let commands: GroupCommand[] = [];
    let keys: Buffer[] = [];
    let emptied: Set<string> | null = null;
    let isDelicate = false;
    let slot = -1;
    let messageSlot = -1;
    for (let row = 0; row < rows.count; row++) {
      framer.next();
      if (row < from) continue;
      const flags = rows.flags[row] as number;
      const id = commandTable.find(framer.buffer, framer.argStart(0), framer.argEnd(0));
      if (id === CommandId.FUNCTION || id === CommandId.SCRIPT) takeLoose(argumentsOf(framer));
      else if (id === CommandId.PUBLISH) {
        // Any node takes it: it goes with the keys of its unit, else with the slot that made its lane.
        if (messageSlot < 0) messageSlot = rows.slots[row] as number;
        commands.push(this.#commandOf(framer, flags, []));
      } else {
        this.#checkRow(rows, row, framer);
        const isAlone = (flags & ChangeFlag.first) !== 0 && (flags & ChangeFlag.last) !== 0;
        const found = this.#keysOf(id, framer);
        const rowSlot = this.#oneSlot(found);
        if (rowSlot < 0 && isAlone && APART.has(id)) {
          for (const unit of takeApart(framer, found, APART.get(id) as number, rows.ends[row] as number)) take(unit);
          continue;
        }
        if (rowSlot < 0 || (slot >= 0 && slot !== rowSlot)) throw this.#severalSlots(framer);
        slot = rowSlot;
        commands.push(this.#commandOf(framer, flags, found));
        for (const key of found) keys.push(key);
        isDelicate ||= commandTable.noScript[id] === 1 || id === XREADGROUP;
        isDelicate ||= emptied !== null && isAnyIn(emptied, found);
        if (!KEEPERS.has(id)) emptied = withKeys(emptied, found);
      }
      const isUnitEnd = (flags & ChangeFlag.last) !== 0 || row === rows.count - 1;
      if (!isUnitEnd || commands.length === 0) continue;
      take({
        slot: slot < 0 ? messageSlot : slot,
        end: rows.ends[row] as number,
        commands,
        keys,
        emptied: emptied === null ? NONE : [...emptied],
        isDelicate,
      });
      commands = [];
      keys = [];
      emptied = null;
      isDelicate = false;
      slot = -1;
      messageSlot = -1;
    }
  }

  #keysOf(id: number, framer: CommandFramer): Buffer[] {
    if (id >= 0 && commandTable.hasOneKey(id)) {
      const at = commandTable.firstKeyArg(id, framer);
      if (at > 0) return [framer.buffer.subarray(framer.argStart(at), framer.argEnd(at))];
    }
    if (this.#keys.length < framer.argc + 1) this.#keys = new Int32Array(framer.argc * 2);
    const count = id < 0 ? -1 : commandTable.keyArgs(id, framer, this.#keys);
    if (count <= 0) throw this.#severalSlots(framer);
    const keys: Buffer[] = [];
    for (let index = 0; index < count; index++) {
      const at = this.#keys[index] as number;
      keys.push(framer.buffer.subarray(framer.argStart(at), framer.argEnd(at)));
    }
    return keys;
  }

  /** The slot of all keys, or -1 when they lie in several. */
  #oneSlot(keys: readonly Buffer[]): number {
    let slot = -1;
    for (const key of keys) {
      const own = keySlot(key);
      if (slot >= 0 && own !== slot) return -1;
      slot = own;
    }
    return slot;
  }

  #commandOf(framer: CommandFramer, flags: number, keys: readonly Buffer[]): GroupCommand {
    if ((flags & ChangeFlag.keyed) !== 0) return { buffer: framer.buffer, ...withoutKeys(framer), keys };
    const shifted = (flags & ChangeFlag.expiry) === 0 ? null : shiftExpiry(framer, this.#shift);
    if (shifted === null) {
      return { buffer: framer.buffer, start: framer.start + framer.headerLength, end: framer.end, argc: framer.argc };
    }
    const [header, first, ...rest] = shifted as [Buffer, ...Buffer[]];
    return first === undefined
      ? groupCommand(header)
      : { ...groupCommand(header), buffer: first, start: 0, end: first.length, rest };
  }

  #checkRow(rows: ChangeRows, row: number, framer: CommandFramer): void {
    if (((rows.flags[row] as number) & ChangeFlag.barrier) !== 0) throw this.#severalSlots(framer);
    const db = rows.dbs[row] as number;
    if (db !== 0) throw new Halt("DST-010", `lane ${this.#label} holds ${nameOf(framer)} for database ${db}`);
  }

  #severalSlots(framer: CommandFramer): Halt {
    return new Halt(
      "PIP-004",
      `lane ${this.#label} holds ${nameOf(framer)}, whose unit concerns several slots of the destination`,
    );
  }
}

function withKeys(names: Set<string> | null, keys: readonly Buffer[]): Set<string> {
  const all = names ?? new Set<string>();
  for (const key of keys) all.add(key.toString("latin1"));
  return all;
}

function isAnyIn(names: ReadonlySet<string>, keys: readonly Buffer[]): boolean {
  return keys.some((key) => names.has(key.toString("latin1")));
}

/** Views. */
function argumentsOf(framer: CommandFramer): Buffer[] {
  return Array.from({ length: framer.argc }, (_, at) => framer.buffer.subarray(framer.argStart(at), framer.argEnd(at)));
}

/** A whole command in RESP as one of a group. */
export function groupCommand(raw: Buffer): GroupCommand {
  const header = raw.indexOf(CR) + 2;
  return { buffer: raw, start: header, end: raw.length, argc: Number(raw.toString("latin1", 1, header - 2)) };
}

function takeApart(framer: CommandFramer, keys: readonly Buffer[], step: number, end: number): SlotUnit[] {
  const name = framer.buffer.subarray(framer.argStart(0), framer.argEnd(0));
  const bySlot = new Map<number, { args: Buffer[]; keys: Buffer[] }>();
  for (const [index, key] of keys.entries()) {
    const slot = keySlot(key);
    const part = bySlot.get(slot) ?? { args: [name], keys: [] };
    bySlot.set(slot, part);
    part.keys.push(key);
    part.args.push(key);
    for (let extra = 1; extra < step; extra++) {
      const at = 1 + index * step + extra;
      part.args.push(framer.buffer.subarray(framer.argStart(at), framer.argEnd(at)));
    }
  }
  return [...bySlot].map(([slot, part]) => ({
    slot,
    end,
    commands: [groupCommand(encodeCommand(part.args))],
    keys: part.keys,
    emptied: part.keys.map((key) => key.toString("latin1")),
    isDelicate: false,
  }));
}

function nameOf(framer: CommandFramer): string {
  return printable(framer.buffer.toString("latin1", framer.argStart(0), Math.min(framer.argEnd(0), framer.argStart(0) + 40)));
}
