import { findCommand } from "./commands/command-set.ts";
import { CommandRunner } from "./command-runner.ts";
import { Keyspace, type SimDatabase, type SimEntry } from "./keyspace.ts";
import { NO_REPLID, ReplicationLog, type StreamItem } from "./replication-log.ts";
import { writeRdb } from "./rdb-writer.ts";
import { loadSavedState, NOTHING_SAVED, savedStateOf, type SavedState } from "./saved-state.ts";
import { ScriptBook } from "./script-book.ts";
import { SimClient } from "./sim-client.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { SimReplica } from "./sim-replica.ts";
import { decode, SimError, type Encoded, type SimReply } from "./sim-reply.ts";
import { SimSession, type SimLink } from "./sim-session.ts";
import { Upkeep } from "./upkeep.ts";

const BACKLOG_BYTES = 1024 * 1024;
/** What every data command of ordinary clients is answered with while it is set; see `SimServer.failWith`. */
export type SimFault =
  | "OOM"
  | "LOADING"
  | "BUSY"
  | "READONLY"
  | "MISCONF"
  | "NOREPLICAS"
  | "CLUSTERDOWN"
  | "MASTERDOWN"
  | "NOPERM";

export interface SimServerOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly nowMs: () => number;
  /** 0 inclusive to 1 exclusive. */
  readonly random: () => number;
  /** Default 7.0.15. */
  readonly version?: string;
  /** Default 1 MB. */
  readonly backlogBytes?: number;
  /** A cluster to join, without slots. */
  readonly cluster?: SimCluster;
  readonly password?: string;
  /** Copies for replicas go out in pieces of this size, one at each `pump`. Default: at once. */
  readonly snapshotChunkBytes?: number;
  /** Copies without a length, closed by a marker, where the replica takes them (`repl-diskless-sync`). Default false. */
  readonly isDiskless?: boolean;
}

/** A key that a unit changed. */
export interface TouchedKey {
  readonly db: number;
  readonly key: string;
}

/**
 * A Redis 7.0 server in memory: commands in, replies out, in one step and without I/O. Time, chance and the network come from
 * outside, so a run can be repeated exactly.
 *
 *     session bytes ─▶ CommandRunner ─▶ Keyspace
 *                          │ effects
 *                          ▼
 *                     ReplicationLog ─▶ sessions that pose as replicas (ReplicaFeed), replicas of the model (SimReplica)
 *
 * What a call makes the server send is sent before the call returns; links must not call back into the server meanwhile.
 */
export class SimServer {
  readonly options: SimServerOptions;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  readonly keyspace = new Keyspace();
  readonly scripts: ScriptBook;
  readonly sessions = new Set<SimSession>();
  /** Replicas of the model; each has applied a prefix of this server's log. */
  readonly replicas: SimReplica[] = [];
  /**
   * Error replies to ordinary clients: write commands get READONLY, MISCONF and NOREPLICAS, those that may need memory OOM,
   * those with keys CLUSTERDOWN and NOPERM, and all but a few the others. `call` is exempt.
   */
  failWith: SimFault | null = null;
  /** One bit of every copy that is sent to a posing replica is wrong. */
  damagesCopies = false;
  /** Called after each unit that changed something: its end in the log, and the keys that it touched. */
  onUnit: ((offset: number, touched: readonly TouchedKey[]) => void) | null = null;
  log: ReplicationLog;
  runId: string;
  cluster: SimCluster | null = null;
  /** Node id in a cluster. */
  readonly nodeId: string;
  /** The link to its primary; null for a primary. */
  primaryLink: SimReplica | null = null;
  startedAtMs: number;
  readonly #runner: CommandRunner;
  readonly #tester: SimClient;
  readonly #upkeep: Upkeep;
  #touched: TouchedKey[] = [];
  #isUp = true;
  #clients = 1;
  #saved: SavedState = NOTHING_SAVED;

  constructor(options: SimServerOptions) {
    this.options = options;
    this.name = options.name;
    this.host = options.host;
    this.port = options.port;
    this.version = options.version ?? "7.0.15";
    this.runId = this.#hex();
    this.nodeId = this.#hex();
    this.log = this.#newLog(this.#hex());
    this.scripts = new ScriptBook();
    this.#runner = new CommandRunner(this);
    this.#tester = new SimClient("test", 0);
    this.startedAtMs = options.nowMs();
    this.#upkeep = new Upkeep(this);
    options.cluster?.add(this);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get nowMs(): number {
    return this.options.nowMs();
  }

  get isReplica(): boolean {
    return this.primaryLink !== null;
  }

  get runner(): CommandRunner {
    return this.#runner;
  }

  /** The offset that each posing replica acknowledged last; -1 before it did. */
  get lastAckOf(): ReadonlyMap<SimSession, number> {
    const acknowledged = new Map<SimSession, number>();
    for (const session of this.sessions) if (session.feed !== null) acknowledged.set(session, session.feed.acknowledged);
    return acknowledged;
  }

  /** A client connected. Throws when the server is down: nobody listens. */
  connect(link: SimLink): SimSession {
    if (!this.#isUp) throw new Error(`${this.name} is down: connection refused`);
    const session = new SimSession(this, ++this.#clients, link);
    this.sessions.add(session);
    return session;
  }

  /** A command of the test's own client, which no fault concerns. Errors are values; a server that is down answers `DOWN`. */
  call(args: readonly (string | number | Buffer)[]): SimReply {
    if (!this.#isUp) return new SimError(`DOWN ${this.name} does not run`);
    const texts = args.map((arg) =>
      typeof arg === "object" ? arg.toString("latin1") : Buffer.from(String(arg)).toString("latin1"),
    );
    const reply = this.run(this.#tester, texts, null);
    this.settle();
    return decode(reply);
  }

  /** For sessions: executes one request. */
  run(client: SimClient, args: readonly string[], session: SimSession | null): Encoded {
    return this.#runner.run(client, args, session);
  }

  /** Sends on what was written to the log. */
  settle(): void {
    const bytes = this.log.takeFresh();
    for (const { feed } of this.sessions) {
      if (feed === null) continue;
      if (bytes !== null) feed.write(bytes);
      if (this.options.snapshotChunkBytes === undefined) feed.pump();
    }
  }

  /** Sends the next piece of every copy under way. */
  pump(): void {
    for (const { feed } of this.sessions) feed?.pump();
  }

  /** What a server does by itself: expires keys, pings its replicas, sends copies on, gives up a backlog that nobody needs. */
  tick(): void {
    if (!this.#isUp) return;
    if (this.primaryLink === null) this.#upkeep.tick();
    this.pump();
    this.settle();
  }

  /** kill -9: sessions are cut, memory is lost. */
  crash(): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    for (const session of this.sessions) session.hangUp();
    for (const replica of this.replicas) replica.unlink();
    this.primaryLink?.unlink();
  }

  /**
   * The server starts again with nothing, with what it held (as from an AOF that is written always), or with what it held at the
   * last `checkpoint`. An RDB of 7.0 brings the history with it, as the former one (server.c, `loadDataFromDisk`).
   */
  restart(how: "empty" | "same" | "earlier"): void {
    this.crash();
    this.#isUp = true;
    this.runId = this.#hex();
    this.startedAtMs = this.nowMs;
    this.scripts.flush();
    this.#tester.endTransaction();
    this.#tester.db = 0;
    this.log = this.#newLog(this.#hex());
    if (how === "empty") this.keyspace.clear();
    if (how === "earlier") {
      loadSavedState(this, this.#saved);
      this.#upkeep.expireDue();
    }
    if (this.primaryLink?.primary.isUp === true) this.primaryLink.link();
    for (const replica of this.replicas) if (replica.server.isUp) replica.link();
    this.settle();
  }

  /** Saves an RDB, for `restart("earlier")`. */
  checkpoint(): void {
    this.#saved = savedStateOf(this);
  }

  /** Makes `server` a replica of this one; it synchronises as soon as both run. */
  addReplica(server: SimServer): SimReplica {
    server.leavePrimary();
    const replica = new SimReplica(this, server);
    server.primaryLink = replica;
    this.replicas.push(replica);
    return replica;
  }

  /** Everything in a database, expired keys included; not to be changed. */
  entries(db = 0): ReadonlyMap<string, Readonly<SimEntry>> {
    return this.keyspace.at(db).entries;
  }

  /** For clusters: from here on this server is a node. */
  joined(cluster: SimCluster): void {
    this.cluster = cluster;
    this.keyspace.at(0).indexSlots();
  }

  keysInSlot(slot: number): string[] {
    return this.keyspace.at(0).keysInSlot(slot);
  }

  /** Whether a key is there for the rules of a slot that moves: one that has expired and was not removed yet counts. */
  holds(key: string): boolean {
    return this.keyspace.at(0).entries.has(key);
  }

  leave(session: SimSession): void {
    this.sessions.delete(session);
    if (session.feed !== null) this.#upkeep.replicaLeft();
  }

  /** Judges a key whose time is over: true when the client must not see it. A primary removes it and says so to its replicas. */
  isGone(db: SimDatabase, key: string, client: SimClient): boolean {
    if (client.kind === "primary") return false;
    if (this.primaryLink === null) this.expire(db, key);
    return true;
  }

  /** Removes a key whose time is over, and says so to the replicas. */
  expire(db: SimDatabase, key: string): void {
    db.remove(key);
    this.#runner.effect(db.id, ["DEL", key]);
    this.touch(db, key);
  }

  /** The running unit is complete, and written to the log. */
  unitEnded(): void {
    const touched = this.#touched;
    this.#touched = [];
    this.onUnit?.(this.log.offset, touched);
  }

  touch(db: SimDatabase, key: string): void {
    if (this.onUnit !== null) this.#touched.push({ db: db.id, key });
    const watchers = db.watchers.get(key);
    if (watchers === undefined) return;
    for (const watched of watchers) {
      if (watched.wasExpired && !db.entries.has(key)) watched.wasExpired = false;
      else watched.client.isDirty = true;
    }
  }

  /** Somebody replicates from here on: what is written is kept. A new history, since nobody followed so far. */
  beginBacklog(): void {
    if (this.log.isKept) return;
    if (this.primaryLink === null) this.log.renew(this.#hex());
    this.log.keep();
  }

  snapshot(): Buffer {
    const { replid, offset, selectedDb } = this.log;
    const db = this.primaryLink === null ? Math.max(0, selectedDb) : this.primaryLink.client.db;
    const rdb = writeRdb(this.keyspace, { version: this.version, nowMs: this.nowMs, replid, offset, db });
    if (this.damagesCopies) {
      const at = Math.floor(this.options.random() * rdb.length);
      rdb.writeUInt8(rdb.readUInt8(at) ^ (1 << Math.floor(this.options.random() * 8)), at);
    }
    return rdb;
  }

  /** For links: applies a command of the primary's stream and hands it on as it is. */
  follow(client: SimClient, item: StreamItem): void {
    this.log.append(item);
    const [name = ""] = item.args;
    if (findCommand(name) === undefined)
      throw new Error(`${this.name}: the stream holds ${name}, which this model does not know`);
    this.#runner.run(client, item.args, null);
  }

  /** For links: takes over data and history of a primary. */
  copyFrom(primary: SimServer): void {
    this.keyspace.copyFrom(primary.keyspace);
    this.hangUpReplicas();
    this.log = this.#newLog(primary.log.replid);
    this.log.offset = primary.log.offset;
    this.log.keep();
    for (const replica of this.replicas) replica.link();
  }

  /** For links: the end of being a replica (`replicationUnsetMaster`). */
  becomePrimary(): void {
    if (this.primaryLink === null) return;
    this.leavePrimary();
    this.log.shift(this.#hex());
    this.log.selectedDb = -1;
    this.hangUpReplicas();
    for (const replica of this.replicas) replica.link();
  }

  /** For links: the primary forgets of this server. */
  leavePrimary(): void {
    const link = this.primaryLink;
    if (link === null) return;
    link.unlink();
    const { replicas } = link.primary;
    replicas.splice(replicas.indexOf(link), 1);
    this.primaryLink = null;
  }

  /** Ends the sessions that pose as replicas: they must hear of another history. */
  hangUpReplicas(): void {
    this.settle();
    for (const session of this.sessions) if (session.feed !== null) session.hangUp();
  }

  newId(): string {
    return this.#hex();
  }

  #newLog(replid: string): ReplicationLog {
    const [major = 7, minor = 0] = this.version.split(".").map(Number);
    return new ReplicationLog(replid, this.options.backlogBytes ?? BACKLOG_BYTES, major > 7 || (major === 7 && minor >= 2));
  }

  #hex(): string {
    let text = "";
    for (let index = 0; index < NO_REPLID.length; index += 8) {
      text += Math.floor(this.options.random() * 2 ** 32)
        .toString(16)
        .padStart(8, "0");
    }
    return text;
  }
}
