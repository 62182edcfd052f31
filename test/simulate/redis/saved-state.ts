import { Keyspace } from "./keyspace.ts";
import type { SimServer } from "./sim-server.ts";

/** What an RDB on the disk holds. */
export interface SavedState {
  readonly keyspace: Keyspace;
  /** Null where nobody replicated at that time. */
  readonly history: { readonly replid: string; readonly offset: number } | null;
}

export const NOTHING_SAVED: SavedState = { keyspace: new Keyspace(), history: null };

export function savedStateOf({ keyspace, log }: SimServer): SavedState {
  const saved = new Keyspace();
  saved.copyFrom(keyspace);
  return { keyspace: saved, history: log.isKept ? { replid: log.replid, offset: log.offset } : null };
}

/**
 * Loads it into a server that starts. Since 7.0 a primary goes on with the saved history as its former one, so that replicas which
 * have no more than the RDB may continue; a replica takes it as its own and asks its primary (server.c, `loadDataFromDisk`).
 */
export function loadSavedState({ keyspace, log, isReplica }: SimServer, { keyspace: saved, history }: SavedState): void {
  keyspace.copyFrom(saved);
  if (history === null) return;
  log.offset = history.offset;
  log.keep();
  if (isReplica) {
    log.replid = history.replid;
    return;
  }
  log.replid2 = history.replid;
  log.secondOffset = history.offset + 1;
}
