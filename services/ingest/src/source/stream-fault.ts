import { ExpiryError, RdbError, RespError } from "@sluice/redis";
import { Retryable } from "@sluice/runtime";
import { noCopyFault } from "./psync-reply.ts";
import type { RdbTransfer } from "./rdb-transfer.ts";

/** The fault that a broken stream or RDB stands for: another try gets the bytes anew. `copy`: the one that is not complete. */
export function streamFault(shard: string, cause: unknown, copy: { readonly transfer: RdbTransfer } | null): unknown {
  const endpoint = `source ${shard}`;
  if (cause instanceof RdbError) return new Retryable("SRC-004", endpoint, "the full copy can't be read", { cause });
  if (cause instanceof RespError || cause instanceof ExpiryError)
    return new Retryable("SRC-005", endpoint, "the stream can't be read", { cause });
  const isGone = cause instanceof Retryable && cause.code === "SRC-001";
  return isGone && copy?.transfer.isAwaited === true ? noCopyFault(endpoint, null, cause) : cause;
}
