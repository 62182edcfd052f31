import { NO_EXPIRY } from "./keyspace.ts";
import type { SimServer } from "./sim-server.ts";

/** `repl-ping-replica-period`, `repl-backlog-ttl`. */
const PING_MS = 10_000;
const BACKLOG_TTL_MS = 3_600_000;

/** What a primary does by itself, as often as it is told that time has passed (server.c `serverCron`, `replicationCron`). */
export class Upkeep {
  readonly #server: SimServer;
  #pingedAtMs: number;
  #aloneSinceMs: number;

  constructor(server: SimServer) {
    this.#server = server;
    this.#pingedAtMs = server.startedAtMs;
    this.#aloneSinceMs = server.startedAtMs;
  }

  tick(): void {
    this.expireDue();
    const { log, nowMs, replicas, sessions } = this.#server;
    const isFollowed = replicas.some(({ isLinked }) => isLinked) || [...sessions].some(({ feed }) => feed !== null);
    if (isFollowed) this.#aloneSinceMs = nowMs;
    if (isFollowed && nowMs - this.#pingedAtMs >= PING_MS) {
      this.#pingedAtMs = nowMs;
      log.ping();
    }
    if (!isFollowed && log.isKept && nowMs - this.#aloneSinceMs > BACKLOG_TTL_MS) {
      log.renew(this.#server.newId());
      log.drop();
    }
  }

  /** Removes every key whose time is over, each in a unit of its own. */
  expireDue(): void {
    const { keyspace, nowMs, runner } = this.#server;
    for (const db of keyspace.databases) {
      for (const key of db.volatile) {
        const due = db.entries.get(key)?.expireAtMs ?? NO_EXPIRY;
        if (due === NO_EXPIRY || nowMs <= due) continue;
        this.#server.expire(db, key);
        runner.propagate(false);
      }
    }
  }

  replicaLeft(): void {
    this.#aloneSinceMs = this.#server.nowMs;
  }
}
