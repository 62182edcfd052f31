import type { SimDatabase, SimEntry } from "./keyspace.ts";
import { NO_EXPIRY } from "./keyspace.ts";
import type { SimClient } from "./sim-client.ts";
import type { SimCommand } from "./sim-command.ts";
import { integerOf, type Integer } from "./number-text.ts";
import { NOT_INTEGER, WRONG_TYPE } from "./sim-reply.ts";
import type { SimServer } from "./sim-server.ts";
import type { HashValue, ListValue, SetValue, SimValue, StringValue, ZsetValue } from "./sim-value.ts";

/** One command on its way through the server: its arguments, the database it sees, and what it does to it. */
export class Call {
  readonly server: SimServer;
  readonly client: SimClient;
  readonly command: SimCommand;
  readonly args: readonly string[];
  readonly nowMs: number;
  /** The client's database when the command began. */
  readonly db: SimDatabase;
  /** Changes made; a command without any is not replicated. */
  dirty = 0;
  /** What is replicated in place of the arguments; an empty list for nothing. */
  #replicated: readonly (readonly string[])[] | null = null;

  constructor(server: SimServer, client: SimClient, command: SimCommand, args: readonly string[]) {
    this.server = server;
    this.client = client;
    this.command = command;
    this.args = args;
    this.nowMs = server.nowMs;
    this.db = server.keyspace.at(client.db);
  }

  /** Commands to replicate: those set by `replicateAs`, else the one that was called if it changed anything. */
  get effects(): readonly (readonly string[])[] {
    if (this.#replicated !== null) return this.#replicated;
    return this.dirty > 0 ? [this.args] : [];
  }

  replicateAs(...commands: (readonly string[])[]): void {
    this.#replicated = commands;
  }

  arg(index: number): string {
    return this.args[index] ?? "";
  }

  /** The argument as an option: upper case. */
  word(index: number): string {
    return this.arg(index).toUpperCase();
  }

  int(index: number, refusal = NOT_INTEGER): Integer {
    const value = integerOf(this.arg(index));
    if (value === null) throw refusal;
    return value;
  }

  /** The entry of a key, after expiring it if it is due (db.c, `expireIfNeeded`). */
  find(key: string, db: SimDatabase = this.db): SimEntry | undefined {
    const entry = db.entries.get(key);
    if (entry === undefined || entry.expireAtMs === NO_EXPIRY || this.nowMs <= entry.expireAtMs) return entry;
    return this.server.isGone(db, key, this.client) ? undefined : entry;
  }

  string(key: string): StringValue | undefined {
    return this.#typed(key, "string") as StringValue | undefined;
  }

  list(key: string): ListValue | undefined {
    return this.#typed(key, "list") as ListValue | undefined;
  }

  set(key: string): SetValue | undefined {
    return this.#typed(key, "set") as SetValue | undefined;
  }

  hash(key: string): HashValue | undefined {
    return this.#typed(key, "hash") as HashValue | undefined;
  }

  zset(key: string): ZsetValue | undefined {
    return this.#typed(key, "zset") as ZsetValue | undefined;
  }

  /** Puts a value, without an expiry unless `expireAtMs` says so. Counts as one change. */
  put(key: string, value: SimValue, expireAtMs = NO_EXPIRY): void {
    this.db.put(key, value, expireAtMs);
    this.changed(key);
  }

  /** Removes a key that is there. */
  remove(key: string): boolean {
    if (!this.db.remove(key)) return false;
    this.changed(key);
    return true;
  }

  /** A collection without elements is no key. */
  dropIfEmpty(key: string, size: number): void {
    if (size === 0) this.db.remove(key);
  }

  changed(key: string, dirty = 1): void {
    this.dirty += dirty;
    this.touch(key);
  }

  /** Tells who watches the key. */
  touch(key: string, db: SimDatabase = this.db): void {
    this.server.touch(db, key);
  }

  #typed(key: string, type: SimValue["type"]): SimValue | undefined {
    const value = this.find(key)?.value;
    if (value !== undefined && value.type !== type) throw WRONG_TYPE;
    return value;
  }
}
