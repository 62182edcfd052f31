import { BatchError, BatchKind, decodeBatch } from "@sluice/wire";

/** Whether a message closes a lane's copy of that epoch. One that is no batch ends no copy: its lane halts and says so. */
export function isEndOfCopy(epoch: number, message: Uint8Array): boolean {
  try {
    const end = decodeBatch(message);
    return end.kind === BatchKind.snapshotEnd && end.epoch === epoch;
  } catch (cause) {
    if (cause instanceof BatchError) return false;
    throw cause;
  }
}
