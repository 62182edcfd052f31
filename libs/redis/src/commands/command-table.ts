import type { FramedCommand } from "../resp/command-framer.ts";
import { addedCommands, keyBehindSubcommand, kindByName } from "./additions.ts";
import type { CommandDefinition } from "./command-definition.ts";
import { CommandKind } from "./command-kind.ts";
import { generatedCommands } from "./commands.generated.ts";
import { keepingCommands } from "./kept-keys.ts";
import { keyedCommands } from "./keyed-command.ts";
import { moduleCommands } from "./module-commands.ts";
import { MALFORMED, movableKeyRules, rangeKeys } from "./movable-keys.ts";
import type { KeyRule } from "./movable-keys.ts";
import { tairCommands } from "./tair-commands.ts";

/** The smallest power of two that leaves three quarters of the hash table empty. */
function tableSize(commands: number): number {
  let size = 64;
  while (size < commands * 4) size *= 2;
  return size;
}

function kindOf(definition: CommandDefinition): CommandKind {
  const named = kindByName[definition.name];
  if (named !== undefined) return named;
  if (!definition.write) return CommandKind.forbidden;
  return namesKeys(definition) ? CommandKind.write : CommandKind.barrier;
}

/** A write that names no keys changes the whole keyspace, or what is no key (the indexes of RediSearch). */
function namesKeys(definition: CommandDefinition): boolean {
  const { name, firstKey, movableKeys, keyRule } = definition;
  return firstKey > 0 || movableKeys || keyRule !== undefined || keyBehindSubcommand.includes(name);
}

/**
 * Commands by a number from 0 on, found by their bytes. All columns are indexed by that number. The lookup hashes the name in capitals and compares bytes;
 * it makes no string. Numbers are those of this table and this build: never store them.
 */
class CommandTable {
  /** In capitals. */
  readonly names: readonly string[];
  /** A {@link CommandKind}. */
  readonly kind: Uint8Array;
  /** 1 where a script may not run it. */
  readonly noScript: Uint8Array;
  /** 1 where a key that was there may be gone behind the command (the last element, an expiry in the past, an empty result). */
  readonly mayRemoveKey: Uint8Array;
  readonly #definitions: readonly CommandDefinition[];
  readonly #firstKey: Int8Array;
  readonly #lastKey: Int8Array;
  readonly #keyStep: Int8Array;
  readonly #keyRule: readonly (KeyRule | undefined)[];
  /** 1 where the three numbers do not tell the keys. */
  readonly #movable: Uint8Array;
  /** Names in capitals, end to end, and where each begins. */
  readonly #letters: Buffer;
  readonly #letterStart: Int32Array;
  readonly #slots: Int16Array;
  readonly #longest: number;
  readonly #first = new Int32Array(1);

  /** Later definitions of a name replace earlier ones. Names are ASCII, in capitals. */
  constructor(definitions: readonly CommandDefinition[]) {
    const byName = new Map(definitions.map((definition) => [definition.name, definition]));
    const rows = [...byName.values()];
    this.#definitions = rows;
    this.names = rows.map((row) => row.name);
    this.kind = Uint8Array.from(rows, (row) => kindOf(row));
    this.noScript = Uint8Array.from(rows, (row) => (row.noScript ? 1 : 0));
    this.mayRemoveKey = Uint8Array.from(rows, (row) => (row.write && !keepingCommands.has(row.name) ? 1 : 0));
    const behind = new Set(keyBehindSubcommand);
    this.#firstKey = Int8Array.from(rows, (row) => (behind.has(row.name) ? 2 : row.firstKey));
    this.#lastKey = Int8Array.from(rows, (row) => (behind.has(row.name) ? 2 : row.lastKey));
    this.#keyStep = Int8Array.from(rows, (row) => (behind.has(row.name) ? 1 : row.keyStep));
    this.#keyRule = rows.map((row) => movableKeyRules[row.name] ?? row.keyRule);
    this.#movable = Uint8Array.from(rows, (row, id) => (row.movableKeys || this.#keyRule[id] !== undefined ? 1 : 0));
    this.#letters = Buffer.from(this.names.join(""), "latin1");
    this.#letterStart = new Int32Array(rows.length + 1);
    for (let id = 0; id < rows.length; id++) this.#letterStart[id + 1] = this.#letterStart[id]! + this.names[id]!.length;
    this.#longest = Math.max(0, ...this.names.map((name) => name.length));
    this.#slots = new Int16Array(tableSize(rows.length)).fill(-1);
    for (let id = 0; id < rows.length; id++) {
      let slot = this.#hash(this.#letters, this.#letterStart[id]!, this.#letterStart[id + 1]!);
      while (this.#slots[slot] !== -1) slot = (slot + 1) & (this.#slots.length - 1);
      this.#slots[slot] = id;
    }
  }

  /** This table and more commands, such as a source's modules have (see `commandDefinition`). Known commands keep their numbers and their rules. */
  with(definitions: readonly CommandDefinition[]): CommandTable {
    const known = new Set(this.names);
    return new CommandTable([...this.#definitions, ...definitions.filter((definition) => !known.has(definition.name))]);
  }

  /** Number of the command whose name stands in `[start, end)` in any letter case, or -1. */
  find(buffer: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length > this.#longest || length <= 0) return -1;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = this.#hash(buffer, start, end); ; slot = (slot + 1) & mask) {
      const id = slots[slot]!;
      if (id === -1 || this.#isNamed(id, buffer, start, length)) return id;
    }
  }

  /** Number of the command with this name, or -1. */
  idOf(name: string): number {
    const bytes = Buffer.from(name, "latin1");
    return this.find(bytes, 0, bytes.length);
  }

  /** Number of a framed command, or -1. */
  idOfCommand(command: FramedCommand): number {
    const start = command.argStarts[0]!;
    return this.find(command.buffer, start, start + command.argLengths[0]!);
  }

  definition(id: number): CommandDefinition | undefined {
    return this.#definitions[id];
  }

  /** True when only the server can tell the keys of a call of this command: see `keysRequest`. */
  mustAskKeys(id: number): boolean {
    return this.#movable[id] === 1 && this.#keyRule[id] === undefined;
  }

  /** True when all forms of the command name exactly one key, at {@link firstKeyArg}: no need to ask for more. */
  hasOneKey(id: number): boolean {
    return this.#movable[id] === 0 && this.#firstKey[id]! > 0 && this.#firstKey[id] === this.#lastKey[id];
  }

  /** True when some form of the command names a key, as far as the table can tell. */
  hasKeys(id: number): boolean {
    return this.#movable[id] === 1 || this.#firstKey[id]! > 0;
  }

  /** Argument index of the first key, 0 when the command has none, -1 when it is malformed or its keys are not known. */
  firstKeyArg(id: number, command: FramedCommand): number {
    if (this.#movable[id] === 0) {
      const first = this.#firstKey[id]!;
      if (first < command.argc) return first;
      return this.#definitions[id]!.subcommands.length > 0 ? 0 : MALFORMED;
    }
    const count = this.keyArgs(id, command, this.#first);
    return count > 0 ? this.#first[0]! : count;
  }

  /**
   * Writes the argument indexes of all keys into `out`, in the order of the command, and returns how many there are: more than `out.length`
   * means that only so many were written. -1: malformed, or the keys of this command are not known.
   */
  keyArgs(id: number, command: FramedCommand, out: Int32Array): number {
    const rule = this.#keyRule[id];
    if (rule !== undefined) return rule(command, out);
    const definition = this.#definitions[id];
    if (definition === undefined || definition.movableKeys) return MALFORMED;
    const first = this.#firstKey[id]!;
    if (first === 0) return 0;
    if (first >= command.argc) return definition.subcommands.length > 0 ? 0 : MALFORMED;
    return rangeKeys(first, this.#lastKey[id]!, this.#keyStep[id]!, command, out);
  }

  #hash(buffer: Uint8Array, start: number, end: number): number {
    let hash = end - start;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (buffer[at]! & 0xdf)) | 0;
    return (hash ^ (hash >>> 11)) & (this.#slots.length - 1);
  }

  #isNamed(id: number, buffer: Uint8Array, start: number, length: number): boolean {
    const from = this.#letterStart[id]!;
    if (this.#letterStart[id + 1]! - from !== length) return false;
    for (let at = 0; at < length; at++) {
      const byte = buffer[start + at]!;
      if ((byte >= 97 && byte <= 122 ? byte - 32 : byte) !== this.#letters[from + at]) return false;
    }
    return true;
  }
}

/** All commands that we know by ourselves: those of Redis up to 8.10, of Valkey up to 9, of their modules, and of Tair; and carriers of others. */
export const commandTable = new CommandTable([
  ...generatedCommands,
  ...addedCommands,
  ...moduleCommands,
  ...tairCommands,
  ...keyedCommands,
]);
