import type { FramedCommand } from "../resp/command-framer.ts";
import { encodeCommand } from "../resp/encode-command.ts";
import { isWord } from "./argument.ts";
import { commandTable } from "./command-table.ts";

const XADD = commandTable.idOf("XADD");
const XTRIM = commandTable.idOf("XTRIM");

/**
 * XADD and XTRIM with `~ … LIMIT n` are replicated with `=` in place of `~`, so that a replica trims exactly as much as its primary did, and with LIMIT
 * left where it is. A server takes that from its primary and refuses it from anybody else: "LIMIT cannot be used without the special ~ option"
 * (t_stream.c, streamParseAddOrTrimArgsOrReply). This is the command as RESP without LIMIT, which means the same; null where nothing is to be changed.
 * `id` is its number in `commandTable`. From Redis 6.2 on.
 */
export function withoutTrimLimit(id: number, command: FramedCommand): Buffer | null {
  if (id !== XADD && id !== XTRIM) return null;
  const limitAt = trimLimit(command, id === XADD);
  if (limitAt === 0) return null;
  const args: Buffer[] = [];
  for (let index = 0; index < command.argc; index++) {
    if (index === limitAt || index === limitAt + 1) continue;
    const start = command.argStarts[index]!;
    args.push(command.buffer.subarray(start, start + command.argLengths[index]!));
  }
  return encodeCommand(args);
}

/** Argument index of the LIMIT of an exact trim, 0 where there is none. Options of XADD end where the entry's id stands. */
function trimLimit(command: FramedCommand, isAdd: boolean): number {
  let limitAt = 0;
  let isExact = false;
  for (let index = 2; index + 1 < command.argc; index++) {
    if (isWord(command, index, "MAXLEN") || isWord(command, index, "MINID")) {
      isExact = !isWord(command, index + 1, "~");
      index += isExact && !isWord(command, index + 1, "=") ? 1 : 2;
    } else if (isWord(command, index, "LIMIT")) limitAt = index++;
    else if (isAdd && !isOption(command, index)) break;
  }
  return isExact ? limitAt : 0;
}

/** Options of XADD without operands; the last three since Redis 8.2. */
function isOption(command: FramedCommand, index: number): boolean {
  return ["NOMKSTREAM", "KEEPREF", "DELREF", "ACKED"].some((word) => isWord(command, index, word));
}
