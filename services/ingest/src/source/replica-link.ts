import type { Socket } from "node:net";
import { Connection, encodeCommand, ReplyError, type Endpoint } from "@sluice/redis";
import { Halt, Retryable } from "@sluice/runtime";
import { parsePsyncReply, replicationFault, sourceFault, type PsyncReply } from "./psync-reply.ts";
import { readFacts, type SourceFacts } from "./source-facts.ts";

/** A source that says nothing for so long is gone: it sends PING every 10 s (repl-ping-replica-period) and newlines while it forks. */
const SILENCE_LIMIT_MS = 60_000;

/**
 * The version of Valkey that we pass ourselves off as: the latest whose RDB is read here. From 9 on a source writes no more into an RDB than its replica's
 * version can read, and for one that says none what Redis 7.2 could: without expiries of hash fields, and where there are any nothing at all.
 */
const POSED_VERSION = "9.1.2";
/** Before, a source does not look at it when it writes an RDB. */
const VERSION_SINCE_VALKEY = 90_000;

/** Names that a source has for the commands of replication, where it has renamed them. */
export interface ReplicationCommands {
  readonly psync?: string | undefined;
  readonly replconf?: string | undefined;
}

/**
 * One replication link: Sluice poses as a replica, but as one that nobody may promote or count on (H34).
 *
 * It announces port 0 and no address, so that Sentinel can't adopt it. And it vouches for nothing: it says once a second that it is
 * alive, always with offset 0. A source takes any offset at or above a client's last write as that write's replica, so that WAIT
 * would answer clients who mean a server that could take over; nor does it help to stay one byte behind, since WAIT itself sends
 * GETACK down the stream, and the bytes of that lie behind the write (replication.c, `waitCommand`). FAILOVER takes a replica whose
 * offset is the primary's own. What keeps a link is the time of an acknowledgement, never its offset.
 */
export class ReplicaLink {
  readonly #shard: string;
  readonly #connection: Connection;
  readonly #psync: string;
  readonly #replconf: string;
  #valkeyVersion = 0;
  #saidVersion = false;
  #socket: Socket | null = null;
  #leftover: Buffer = Buffer.alloc(0);

  private constructor(shard: string, connection: Connection, { psync, replconf }: ReplicationCommands) {
    this.#shard = shard;
    this.#connection = connection;
    this.#psync = psync ?? "PSYNC";
    this.#replconf = replconf ?? "REPLCONF";
  }

  /** Connects and introduces itself. Throws `Retryable` SRC-001, SRC-003 or `Halt` SRC-002, SRC-017, SRC-021. */
  static async open(
    shard: string,
    endpoint: Endpoint,
    signal: AbortSignal,
    commands: ReplicationCommands = {},
  ): Promise<ReplicaLink> {
    let connection: Connection | null = null;
    try {
      connection = await Connection.open(endpoint, { signal, idleTimeoutMs: SILENCE_LIMIT_MS });
      const link = new ReplicaLink(shard, connection, commands);
      // Whoever may replicate but not ask for a sign of life is alive, too: what matters is asked next.
      await connection.call(["PING"]).catch((cause: unknown) => {
        if (!(cause instanceof ReplyError) || cause.code !== "NOPERM") throw cause;
      });
      // One option each: a server refuses those it does not know, and the whole line with them. What it refuses it can do without.
      for (const option of [
        ["listening-port", "0"],
        ["capa", "eof"],
        ["capa", "psync2"],
      ]) {
        await link.#say(option);
      }
      return link;
    } catch (cause) {
      connection?.close();
      throw isFault(cause) ? cause : sourceFault(shard, cause);
    }
  }

  /** Tells the source something of us. False where it does not know of that. */
  async #say(option: readonly string[]): Promise<boolean> {
    try {
      await this.#connection.call([this.#replconf, ...option]);
      return true;
    } catch (cause) {
      const fault = replicationFault(this.#shard, this.#replconf, "REPLCONF", cause);
      if (cause instanceof ReplyError && fault.code === "SRC-001") return false;
      throw fault;
    }
  }

  async facts(): Promise<SourceFacts> {
    const info = await this.#ask(["INFO"]);
    const facts = readFacts(Buffer.isBuffer(info) ? info.toString("latin1") : String(info));
    this.#valkeyVersion = facts.valkeyVersion;
    return facts;
  }

  /** What it answers to a question; null where it does not let us ask. Throws `Retryable` SRC-001, SRC-003. */
  async text(command: readonly string[]): Promise<string | null> {
    try {
      const reply = await this.#connection.call(command);
      return Buffer.isBuffer(reply) ? reply.toString("latin1") : String(reply);
    } catch (cause) {
      const fault = sourceFault(this.#shard, cause);
      if (cause instanceof ReplyError && fault.code !== "SRC-003") return null;
      throw fault;
    }
  }

  /**
   * Asks for the RDB alone when a full copy is asked for: the source keeps no stream for this link then. For sources from 6.2; false where it
   * does not know of that: the link is an ordinary one.
   */
  async askRdbOnly(): Promise<boolean> {
    return this.#say(["rdb-only", "1"]);
  }

  /**
   * True from a full copy on for which we said a version of Valkey. A source in a cluster has CLUSTER SETSLOT wait for the acknowledgement of every online
   * replica from 8 on (cluster_legacy.c), and ours never comes: such a link must not outlive its copy.
   */
  get saidVersion(): boolean {
    return this.#saidVersion;
  }

  /**
   * Asks for what follows `offset` of the history `replid`, or for a full copy where there is none. After `facts`.
   * Throws `Retryable` SRC-001, SRC-003, `Halt` SRC-002, SRC-021.
   */
  async psync(replid: string | null, offset: number): Promise<PsyncReply> {
    if (replid === null && this.#valkeyVersion >= VERSION_SINCE_VALKEY)
      this.#saidVersion = await this.#say(["version", POSED_VERSION]);
    const command = this.#psync;
    const asked = replid === null ? [command, "?", "-1"] : [command, replid, offset + 1];
    const reply = await this.#connection.call(asked).catch((cause: unknown) => {
      throw replicationFault(this.#shard, command, "PSYNC", cause);
    });
    const { socket, leftover } = this.#connection.detach();
    // Without a listener an error would end the process; the reader of `chunks` hears of it, too.
    socket.on("error", () => undefined);
    this.#socket = socket;
    this.#leftover = leftover;
    return parsePsyncReply(String(reply), `source ${this.#shard}`);
  }

  /** What the source sends after its answer to PSYNC. Reading stops while the consumer works on a chunk. Throws `Retryable` SRC-001. */
  async *chunks(): AsyncGenerator<Buffer> {
    const socket = this.#socket;
    if (socket === null) throw new Error("chunks() before psync()");
    if (this.#leftover.length > 0) yield this.#leftover;
    this.#leftover = Buffer.alloc(0);
    // Not the socket's own timeout: our acknowledgements would push that out for ever, on a link that is half open, too.
    const silent = (): unknown => socket.destroy(new Error(`the source was silent for ${SILENCE_LIMIT_MS} ms`));
    let silence = setTimeout(silent, SILENCE_LIMIT_MS);
    try {
      for await (const chunk of socket) {
        clearTimeout(silence);
        yield chunk as Buffer;
        silence = setTimeout(silent, SILENCE_LIMIT_MS);
      }
    } catch (cause) {
      throw sourceFault(this.#shard, cause);
    } finally {
      clearTimeout(silence);
    }
    throw new Retryable("SRC-001", `source ${this.#shard}`, `source ${this.#shard} closed the replication link`);
  }

  /** False once the link is closed or broke. */
  get isOpen(): boolean {
    return this.#socket?.destroyed === false;
  }

  /** Tells the source that we are alive; to be called once a second, and at once behind a diskless RDB. */
  keepAlive(): void {
    if (this.#socket?.writable !== true) return;
    this.#socket.write(encodeCommand([this.#replconf, "ACK", 0]));
  }

  /** Ends the link. Safe to call twice. */
  close(cause?: Error): void {
    this.#connection.close();
    this.#socket?.destroy(cause);
  }

  async #ask(command: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.#connection.call(command);
    } catch (cause) {
      throw sourceFault(this.#shard, cause);
    }
  }
}

function isFault(cause: unknown): boolean {
  return cause instanceof Retryable || cause instanceof Halt;
}
