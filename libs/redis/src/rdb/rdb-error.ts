/** The RDB, or a piece of one, is not what the format allows or what this reader knows. Nothing behind `offset` was understood. */
export class RdbError extends Error {
  /** The message without the offset. */
  readonly reason: string;
  /** Of the byte at fault: from the start of the RDB file, or of the buffer given where a single value or payload is read. */
  readonly offset: number;

  constructor(reason: string, offset: number) {
    super(`${reason} (at byte ${offset})`);
    this.name = "RdbError";
    this.reason = reason;
    this.offset = offset;
  }
}
