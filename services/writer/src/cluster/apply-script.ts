import { createHash } from "node:crypto";
import { headerBytes, writeArgument, writeHeader, type CommandArgument, type Reply } from "@sluice/redis";
import { printable } from "@sluice/runtime";

/**
 * `apply` in a cluster, for one slot: KEYS[1] is the slot's mark and the other KEYS are all keys of the group, since a command on
 * a key that is not declared is lost silently while the slot migrates (H18 v). ARGV: the expected mark (empty: none), the next
 * one, then the commands, each behind the number of its arguments.
 *
 * The mark is set *before* the first command and with `call`, so that a server that can't write (OOM, READONLY, MISCONF) refuses
 * the whole; the commands run with `pcall`, so that one that fails does not cut the group short. Where any did, the mark says so
 * itself, see `formatMark`: then what follows on the slot finds another mark than it expects and waits, and whoever opens the
 * lane next knows what failed, although the answer was lost. Servers before 7.0 replicate effects only when told so.
 */
const SCRIPT = `
if redis.replicate_commands then redis.replicate_commands() end
local mark = redis.call('GET', KEYS[1]) or ''
if mark ~= ARGV[1] then return {'STALE', mark} end
redis.call('SET', KEYS[1], ARGV[2])
local failed = nil
local first = nil
local at = 3
local last = #ARGV
local index = 0
while at <= last do
  local count = tonumber(ARGV[at])
  local reply = redis.pcall(unpack(ARGV, at + 1, at + count))
  if type(reply) == 'table' and reply.err then
    failed = failed or {}
    failed[#failed + 1] = index
    first = first or reply.err
  end
  at = at + count + 1
  index = index + 1
end
if failed == nil then return redis.status_reply('OK') end
local offset, sequence = string.match(mark, '^%d+|%d+|%d+|%a+|s%d+|(%d+)|(%d+)')
local where = '|' .. (offset or '0') .. '|' .. (sequence or '0')
local which = table.concat(failed, ',', 1, math.min(#failed, 32))
local why = string.sub((string.gsub(first, '[^ -~]', '?')), 1, 60)
local noted = ARGV[2] .. where .. '|' .. #failed .. '|' .. which .. '|' .. why
redis.call('SET', KEYS[1], noted)
return {'FAILED', noted, first}
`;

export const APPLY_SCRIPT = SCRIPT.trim();
const SHA = Buffer.from(createHash("sha1").update(APPLY_SCRIPT).digest("hex"));

const CR = 13;
const LF = 10;
const LONGEST_NAME = 40;

/** Lua's `unpack` fails at about 8000 arguments, outside any pcall (H18 ii): larger groups go another way. */
export const MOST_SCRIPT_ARGUMENTS = 7_000;

/** One command in a group: raw RESP of its arguments (behind `*<argc>\r\n`) and where its keys stand. */
export interface GroupCommand {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly argc: number;
  /** Pieces behind it, of whole arguments each, where the command is not all in one. */
  readonly rest?: readonly Buffer[];
  /** Where the command is in no table: its keys. */
  readonly keys?: readonly Buffer[];
}

/** Commands on one slot that are applied together, in order. */
export class SlotGroup {
  readonly slot: number;
  readonly markKey: string;
  expected: string;
  next: string;
  /** Where its last unit ends. */
  offset = 0;
  readonly commands: GroupCommand[] = [];
  /** Extents of the keys: buffer, start, end. */
  readonly keys: Buffer[] = [];
  /** Must not go by the script, see `SlotGroup.mayFollow`. */
  isDelicate = false;
  /** Of one that goes by a transaction: what is asked in front of it, beside its mark, and takes the answers. */
  guard: {
    readonly questions: readonly (readonly CommandArgument[])[];
    readonly judge: (replies: readonly Reply[]) => void;
  } | null = null;
  #emptied: Set<string> | null = null;
  #args = 0;
  #bytes = 0;

  constructor(slot: number, markKey: string, expected: string | null, next: string) {
    this.slot = slot;
    this.markKey = markKey;
    this.expected = expected ?? "";
    this.next = next;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Arguments that the group's commands and keys make in the script's call. */
  get args(): number {
    return this.#args;
  }

  add(command: GroupCommand): void {
    this.commands.push(command);
    this.#args += command.argc + 1;
    this.#bytes += bytesOf(command) + 16;
  }

  addKey(key: Buffer): void {
    this.keys.push(key);
    this.#args++;
    this.#bytes += key.length + 16;
  }

  /**
   * While a slot migrates, a script that removes a key can't write it again: the key is missing, so the server holds the command
   * to be another node's, although the whole script was let in. So a unit that touches a key which an earlier one may have
   * removed begins another group, which the server judges anew, and a unit that does so itself goes by a transaction, whose
   * commands are judged together before any of them runs (Redis cluster.c, getNodeByQuery; script.c, scriptVerifyClusterState).
   */
  mayFollow(keys: readonly Buffer[]): boolean {
    const emptied = this.#emptied;
    return !this.isDelicate && (emptied === null || !keys.some((key) => emptied.has(key.toString("latin1"))));
  }

  addEmptied(keys: readonly string[]): void {
    if (keys.length === 0) return;
    this.#emptied ??= new Set();
    for (const key of keys) this.#emptied.add(key);
  }

  /** True when the script can take it. */
  get fitsScript(): boolean {
    return !this.isDelicate && this.#args <= MOST_SCRIPT_ARGUMENTS;
  }

  /** Bytes of the call, at most. */
  get encodedBytes(): number {
    return this.#bytes + this.commands.length * 8 + this.markKey.length + this.expected.length + this.next.length + 256;
  }

  /** Writes the EVALSHA and returns the position behind it. */
  write(target: Buffer, from: number): number {
    const total = 3 + 1 + this.keys.length + 2 + this.commands.reduce((sum, command) => sum + command.argc + 1, 0);
    let at = writeHeader(target, from, 42, total);
    at = writeArgument(target, at, "EVALSHA");
    at = writeArgument(target, at, SHA);
    at = writeArgument(target, at, 1 + this.keys.length);
    at = writeArgument(target, at, this.markKey);
    for (const key of this.keys) at = writeArgument(target, at, key);
    at = writeArgument(target, at, this.expected);
    at = writeArgument(target, at, this.next);
    for (const { buffer, start, end, argc, rest } of this.commands) {
      at = writeArgument(target, at, argc);
      at += buffer.copy(target, at, start, end);
      if (rest !== undefined) for (const piece of rest) at += piece.copy(target, at);
    }
    return at;
  }

  /** The group's commands as a pipeline, for a watched transaction; of each the buffers that it is made of. */
  plain(): Buffer[][] {
    return this.commands.map((command) => plainCommand(command));
  }
}

/** Of its arguments as RESP. */
export function bytesOf({ start, end, rest }: GroupCommand): number {
  let bytes = end - start;
  if (rest !== undefined) for (const piece of rest) bytes += piece.length;
  return bytes;
}

/** A command of a group in RESP: its header, and the rest. */
export function plainCommand({ buffer, start, end, argc, rest = [] }: GroupCommand): Buffer[] {
  const header = Buffer.allocUnsafe(headerBytes(argc));
  writeHeader(header, 0, 42, argc);
  return [header, buffer.subarray(start, end), ...rest];
}

/** Its name as it was sent, for people. */
export function commandName({ buffer, start }: GroupCommand): string {
  const from = buffer.indexOf(LF, start) + 1;
  return printable(buffer.toString("latin1", from, Math.min(buffer.indexOf(CR, from), from + LONGEST_NAME)));
}
