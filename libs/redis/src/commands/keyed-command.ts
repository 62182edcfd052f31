import { encodeCommand } from "../resp/encode-command.ts";
import type { FramedCommand } from "../resp/command-framer.ts";
import type { CommandDefinition } from "./command-definition.ts";
import { MALFORMED } from "./movable-keys.ts";

/**
 * A command that is in no table, on its way through the lanes together with what its own server said of it:
 *
 *     SLUICE.KEYED <places> <name> <argument>…      places: argument indexes of its keys, such as `1,3`, the name being argument 0
 *
 * So it is in a table, with a rule for its keys, wherever commands are looked up: by slot, by filter, by repair. What a destination gets is
 * the command inside, `withoutKeys`, whose bytes are the last of the carrier's. No server has a command of these names, so one that is sent as it
 * stands is refused. SLUICE.KEYED-ALONE carries a command that no script may run.
 */
const KEYED = "SLUICE.KEYED";
const KEYED_ALONE = "SLUICE.KEYED-ALONE";
/** Arguments in front of the command inside. */
const IN_FRONT = 2;
const COMMA = 44;
const LF = 10;

export const keyedNames: readonly string[] = [KEYED, KEYED_ALONE];

export const keyedCommands: readonly CommandDefinition[] = keyedNames.map((name) => ({
  name,
  write: true,
  noScript: name === KEYED_ALONE,
  firstKey: 0,
  lastKey: 0,
  keyStep: 0,
  movableKeys: true,
  subcommands: [],
  keyRule: keysInside,
}));

/** Where a command that is in no table has its keys. */
export interface NamedKeys {
  /** Argument indexes, the command's name being argument 0; at least one. */
  readonly args: readonly number[];
  /** No script may run it. */
  readonly noScript: boolean;
}

/** A whole command in RESP by its extents: `headerLength` is that of `*<argc>\r\n`. */
export interface CommandExtent {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly argc: number;
  readonly headerLength: number;
}

/** The carrier of a command, as RESP. */
export function encodeKeyed({ buffer, start, end, argc, headerLength }: CommandExtent, keys: NamedKeys): Buffer {
  const front = encodeCommand([keys.noScript ? KEYED_ALONE : KEYED, keys.args.join(",")]);
  const header = Buffer.from(`*${argc + IN_FRONT}\r\n`);
  return Buffer.concat([header, front.subarray(front.indexOf(LF) + 1), buffer.subarray(start + headerLength, end)]);
}

/** The command inside a carrier: its arguments' RESP, which stand in `[start, end)` of the same buffer, and their number. */
export function withoutKeys(carrier: FramedCommand & { readonly end: number }): { start: number; end: number; argc: number } {
  const places = IN_FRONT - 1;
  const start = carrier.argStarts[places]! + carrier.argLengths[places]! + 2;
  return { start, end: carrier.end, argc: carrier.argc - IN_FRONT };
}

/** The key rule of carriers; a list that is not as `encodeKeyed` writes it is malformed. */
function keysInside(command: FramedCommand, out: Int32Array): number {
  if (command.argc <= IN_FRONT) return MALFORMED;
  const start = command.argStarts[1]!;
  const end = start + command.argLengths[1]!;
  let found = 0;
  let place = 0;
  for (let at = start; at <= end; at++) {
    const byte = at === end ? COMMA : command.buffer[at]!;
    if (byte === COMMA) {
      if (place < 1 || place + IN_FRONT >= command.argc) return MALFORMED;
      out[found++] = place + IN_FRONT;
      place = 0;
    } else {
      if (byte < 48 || byte > 57) return MALFORMED;
      place = place * 10 + byte - 48;
    }
  }
  return found;
}
