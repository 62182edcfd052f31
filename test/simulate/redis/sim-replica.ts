import type { LogListener, StreamItem } from "./replication-log.ts";
import { SimClient } from "./sim-client.ts";
import { RequestParser } from "./request-parser.ts";
import { encodeItem } from "./replication-log.ts";
import type { SimServer } from "./sim-server.ts";

/**
 * The link from a primary of the model to a replica of the model. What the primary writes arrives at once, as far as the
 * network goes, and is applied when the simulator says so; so the replica has always applied a prefix of the stream.
 */
export class SimReplica implements LogListener {
  readonly server: SimServer;
  readonly primary: SimServer;
  readonly client: SimClient;
  #queue: StreamItem[] = [];
  #head = 0;
  #isLinked = false;

  /** Synchronises: continues where the primary's backlog allows it, else takes over all of its data. */
  constructor(primary: SimServer, server: SimServer) {
    this.primary = primary;
    this.server = server;
    this.client = new SimClient("primary", 0);
    this.link();
  }

  /** False while the primary is down. */
  get isLinked(): boolean {
    return this.#isLinked;
  }

  /** Commands that wait to be applied, with those of transactions. */
  get behind(): number {
    return this.#queue.length - this.#head;
  }

  /**
   * Applies the next commands of the stream; a transaction counts as one and is applied whole. SELECT and PING count.
   * Nothing happens while the replica is down.
   */
  advance(commands: number | "all"): void {
    if (!this.server.isUp) return;
    for (let left = commands === "all" ? Infinity : commands; left > 0 && this.behind > 0; left--) this.#unit();
    if (this.#head > 1024 || this.behind === 0) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.server.settle();
  }

  /**
   * The replica becomes a primary with what it has applied: a new id, the former one valid up to here. Its backlog stays, its
   * own replicas have to connect anew. The former primary is not told.
   */
  promote(): SimServer {
    this.server.becomePrimary();
    return this.server;
  }

  take(item: StreamItem): void {
    this.#queue.push(item);
  }

  /** The link to the primary breaks; what was not applied is lost. */
  unlink(): void {
    this.#isLinked = false;
    this.#queue = [];
    this.#head = 0;
    this.primary.log.listeners.delete(this);
  }

  /** The link comes up again, if both run: as at the begin. */
  link(): void {
    const { primary, server } = this;
    this.unlink();
    if (!primary.isUp || !server.isUp) return;
    primary.beginBacklog();
    primary.settle();
    const own = server.log;
    if (own.isKept && primary.log.canContinue(own.replid, own.offset + 1)) this.#continue();
    else {
      server.copyFrom(primary);
      this.client.db = Math.max(0, primary.log.selectedDb);
    }
    primary.log.listeners.add(this);
    this.#isLinked = true;
  }

  #continue(): void {
    const { primary, server } = this;
    const { log } = server;
    if (log.replid !== primary.log.replid) {
      log.replid2 = log.replid;
      log.secondOffset = log.offset + 1;
      log.replid = primary.log.replid;
      server.hangUpReplicas();
    }
    const parser = new RequestParser();
    parser.push(primary.log.since(log.offset + 1));
    for (let args = parser.next(); args !== null; args = parser.next()) this.#queue.push(encodeItem(args));
  }

  /** One command, or all from MULTI to EXEC if EXEC is there. */
  #unit(): void {
    const first = this.#queue[this.#head] as StreamItem;
    let end = this.#head + 1;
    if (first.args[0] === "MULTI") {
      while (end < this.#queue.length && this.#queue[end]?.args[0] !== "EXEC") end++;
      end++;
    }
    for (; this.#head < end && this.behind > 0; this.#head++) {
      const item = this.#queue[this.#head] as StreamItem;
      this.server.follow(this.client, item);
    }
  }
}
