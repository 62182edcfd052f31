import type { SimDatabase } from "./keyspace.ts";
import type { SimCommand } from "./sim-command.ts";

/** A key that a client watches. */
export interface WatchedKey {
  readonly client: SimClient;
  readonly db: SimDatabase;
  readonly key: string;
  /** It had expired already when WATCH was said, so that its end is no change (multi.c, `watchForKey`). */
  wasExpired: boolean;
}

export interface QueuedCommand {
  readonly command: SimCommand;
  readonly args: readonly string[];
}

/** Who a client is to the server: a session, the test itself, a script, or the link to the primary of a replica. */
export type ClientKind = "session" | "test" | "script" | "primary";

/** What a server remembers of a client. */
export class SimClient {
  readonly kind: ClientKind;
  readonly id: number;
  db = 0;
  name = "";
  isAuthenticated = false;
  /** ASKING: the next command may be about a slot that is being imported. */
  isAsking = false;
  /** READONLY: a replica in a cluster may answer. */
  isReading = false;
  /** Commands queued since MULTI; null outside a transaction. */
  queue: QueuedCommand[] | null = null;
  /** A command was refused while it was queued: EXEC will be, too. */
  isSpoilt = false;
  /** A watched key changed. */
  isDirty = false;
  watched: WatchedKey[] = [];

  constructor(kind: ClientKind, id: number) {
    this.kind = kind;
    this.id = id;
  }

  endTransaction(): void {
    this.queue = null;
    this.isSpoilt = false;
    this.isDirty = false;
    this.unwatch();
  }

  unwatch(): void {
    for (const watched of this.watched) {
      const set = watched.db.watchers.get(watched.key);
      set?.delete(watched);
      if (set?.size === 0) watched.db.watchers.delete(watched.key);
    }
    this.watched = [];
  }
}
