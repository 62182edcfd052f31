export type CommandArgument = string | Buffer | number;

function digitsOf(value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  return digits;
}

/** Bytes of `$<length>\r\n` or `*<count>\r\n`. */
export function headerBytes(length: number): number {
  return 3 + digitsOf(length);
}

function argumentBytes(argument: CommandArgument): number {
  if (typeof argument === "string") return Buffer.byteLength(argument);
  return typeof argument === "number" ? String(argument).length : argument.length;
}

/** Size of the command in RESP, in bytes. */
export function encodedBytes(args: readonly CommandArgument[]): number {
  let total = headerBytes(args.length);
  for (const argument of args) {
    const length = argumentBytes(argument);
    total += headerBytes(length) + length + 2;
  }
  return total;
}

/** Writes `$<length>\r\n` or `*<count>\r\n` and returns the position behind it. */
export function writeHeader(target: Buffer, at: number, mark: 36 | 42, length: number): number {
  const digits = digitsOf(length);
  target[at] = mark;
  let rest = length;
  for (let position = at + digits; position > at; position--) {
    target[position] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
  target[at + digits + 1] = 13;
  target[at + digits + 2] = 10;
  return at + digits + 3;
}

/** Writes one argument with its header and line end and returns the position behind it. Strings are UTF-8. */
export function writeArgument(target: Buffer, at: number, argument: CommandArgument): number {
  let end = writeHeader(target, at, 36, argumentBytes(argument));
  if (typeof argument === "object") end += argument.copy(target, end);
  else end += target.write(typeof argument === "string" ? argument : String(argument), end);
  target[end] = 13;
  target[end + 1] = 10;
  return end + 2;
}

/**
 * Writes the command at `at` of a buffer with room for it (see {@link encodedBytes}) and returns the position behind it.
 * @throws {RangeError} there is no room.
 */
export function writeCommand(target: Buffer, at: number, args: readonly CommandArgument[]): number {
  const needed = encodedBytes(args);
  if (at + needed > target.length)
    throw new RangeError(`a command of ${needed} bytes does not fit at ${at} of a buffer of ${target.length} bytes`);
  let end = writeHeader(target, at, 42, args.length);
  for (const argument of args) end = writeArgument(target, end, argument);
  return end;
}

/** The command as a RESP array of bulk strings. Strings are UTF-8, numbers decimal as `String` writes them. */
export function encodeCommand(args: readonly CommandArgument[]): Buffer {
  const target = Buffer.allocUnsafe(encodedBytes(args));
  writeCommand(target, 0, args);
  return target;
}
