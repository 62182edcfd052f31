/** Of an entry of a stream; both 0 to 2^64 - 1. */
export interface StreamId {
  readonly ms: bigint;
  readonly seq: bigint;
}

/** Below 0, 0 or above 0, as the ids are ordered. */
export function compareIds(one: StreamId, two: StreamId): number {
  if (one.ms !== two.ms) return one.ms < two.ms ? -1 : 1;
  if (one.seq === two.seq) return 0;
  return one.seq < two.seq ? -1 : 1;
}

/** As commands take it. */
export function idText({ ms, seq }: StreamId): string {
  return `${ms}-${seq}`;
}

/** The id in 16 bytes, big endian, from `at` on (Redis t_stream.c, streamEncodeID). */
export function idOfBytes(bytes: Buffer, at: number): StreamId {
  return { ms: bytes.readBigUInt64BE(at), seq: bytes.readBigUInt64BE(at + 8) };
}
