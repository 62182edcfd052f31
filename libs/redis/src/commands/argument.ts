import type { FramedCommand } from "../resp/command-framer.ts";

/** True when the argument is this word, which is in capitals, in any letter case. */
export function isWord(command: FramedCommand, index: number, word: string): boolean {
  if (command.argLengths[index] !== word.length || index >= command.argc) return false;
  const start = command.argStarts[index]!;
  for (let at = 0; at < word.length; at++) {
    const byte = command.buffer[start + at]!;
    const capital = byte >= 97 && byte <= 122 ? byte - 32 : byte;
    if (capital !== word.charCodeAt(at)) return false;
  }
  return true;
}

/** The argument as a whole number of 1 to 9 digits, or -1. */
export function smallNumber(command: FramedCommand, index: number): number {
  if (index >= command.argc) return -1;
  const start = command.argStarts[index]!;
  const length = command.argLengths[index]!;
  if (length < 1 || length > 9) return -1;
  let value = 0;
  for (let at = start; at < start + length; at++) {
    const digit = command.buffer[at]! - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** The argument as text, for numbers and messages. */
export function textOf(command: FramedCommand, index: number): string {
  const start = command.argStarts[index] ?? 0;
  return command.buffer.toString("latin1", start, start + (command.argLengths[index] ?? 0));
}
