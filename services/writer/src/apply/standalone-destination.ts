import {
  Connection,
  ConnectionLost,
  ReplyError,
  type CommandArgument,
  type DestinationServer,
  type Endpoint,
  type Reply,
} from "@sluice/redis";
import { Halt, printable, Retryable, trustFault, type Fault } from "@sluice/runtime";
import { formatMark, MarkError, parseMark, repairedKey, type Position, isOwnKey } from "@sluice/wire";
import type { Abilities } from "../rewrite/abilities.ts";
import { readAbilities } from "../rewrite/read-abilities.ts";
import { readServer } from "./destination-server.ts";
import type { Request } from "./request.ts";
import { quotable, verdictOf } from "./verdict.ts";
import { WatchedTransaction, type CommandError } from "./watched-transaction.ts";

/** Nothing heard for so long with a transaction under way: the connection is dead, or the server is. */
const SILENCE_LIMIT_MS = 30_000;
/** Up to so many keys are looked at one by one to tell whether all of them are Sluice's own. */
const MOST_OWN_KEYS = 100;

/** A group that the destination would not take for a reason that lies in one of its commands; nothing of it was applied. */
export class GroupRefused extends Error {
  override readonly name = "GroupRefused";
  /** The whole reply: for verdicts, not for people. */
  readonly error: string;
  /** Which command it was, -1 where that is not known. */
  readonly index: number;
  constructor(error: string, index = -1) {
    super(`refused: ${quotable(error)}`);
    this.error = error;
    this.index = index;
  }
}

/** Commands of a group ran into an error inside their transaction: it does not roll back, so the mark has moved (H16). */
export class CommandsFailed extends Halt {
  readonly errors: readonly CommandError[];
  /** False where one of them is an error that says nothing about a key: no policy covers it. */
  readonly isDivergence: boolean;

  constructor(name: string, errors: readonly CommandError[]) {
    const foreign = errors.find(({ error }) => verdictOf(error) === "halt");
    const first = quotable((foreign ?? errors[0])?.error ?? "");
    const others = errors.length > 1 ? ` and ${errors.length - 1} more` : "";
    const code = foreign === undefined ? "DST-004" : "DST-007";
    super(code, `a command failed in ${name} inside its transaction: ${first}${others}`);
    this.errors = errors;
    this.isDivergence = foreign === undefined;
  }
}

/** Version from which on a server frees what is deleted beside its other work; see `StandaloneDestination.version`. */
export const UNLINK_SINCE = 40_000;

/**
 * A destination that is one server, as one lane sees it: `apply` moves the lane's mark together with the data, or changes
 * nothing. It holds one connection and does not reconnect; its owner opens another and finds its place in `position`.
 */
export class StandaloneDestination {
  readonly name: string;
  readonly abilities: Abilities;
  /** Why it has no RESTORE at all; null where nothing is known to speak against it. */
  readonly lacksRestore: string | null;
  readonly connection: Connection;
  /** The hash of repaired keys beside the mark, as HGETALL answered; null where it may not be read. */
  readonly repaired: Reply;
  readonly #markKey: string;
  #transaction: WatchedTransaction;
  /** Databases that the server is known to have. */
  readonly #databases = new Set([0]);

  private constructor(
    name: string,
    abilities: Abilities,
    lacksRestore: string | null,
    connection: Connection,
    markKey: string,
    transaction: WatchedTransaction,
  ) {
    this.name = name;
    this.abilities = abilities;
    this.lacksRestore = lacksRestore;
    this.connection = connection;
    this.repaired = transaction.beside;
    this.#markKey = markKey;
    this.#transaction = transaction;
  }

  /** Throws `Retryable` DST-001, DST-003 or `Halt` DST-002, DST-005. */
  static async open(name: string, endpoint: Endpoint, markKey: string, signal: AbortSignal): Promise<StandaloneDestination> {
    let connection: Connection | null = null;
    try {
      connection = await Connection.open(endpoint, { name: "sluice-writer", idleTimeoutMs: SILENCE_LIMIT_MS, signal });
      const [server, lacksRestore] = await Promise.all([
        connection.call(["INFO", "server"]).then(readServer),
        askForRestore(connection),
      ]);
      const abilities = await readAbilities(server, connection.call.bind(connection));
      const transaction = await WatchedTransaction.open(connection, markKey, repairedKey(markKey));
      return new StandaloneDestination(name, abilities, lacksRestore, connection, markKey, transaction);
    } catch (cause) {
      connection?.close();
      throw markFault(name, markKey, cause);
    }
  }

  get server(): DestinationServer {
    return this.abilities.server;
  }

  /** `major * 10000 + minor * 100 + patch`, of its own fork. */
  get version(): number {
    return this.server.version;
  }

  /** Where the mark stands, as last read; null where there is none. Throws `Halt` DST-005 when it can't be read. */
  get position(): Position | null {
    const mark = this.#transaction.mark;
    if (mark === null) return null;
    try {
      return parseMark(mark);
    } catch (cause) {
      if (!(cause instanceof MarkError)) throw cause;
      throw new Halt("DST-005", `the mark ${this.#markKey} in ${this.name} can't be read`, { cause });
    }
  }

  /**
   * Reads the mark anew, to be called while nothing is applied. Throws `StaleMark` when it is not what it was: what the
   * destination held is gone, or another writer was there. Throws `Retryable` DST-001, DST-003, `Halt` DST-002, DST-005, too.
   */
  async confirm(): Promise<void> {
    await this.confirmWith([], () => undefined);
  }

  /**
   * As `confirm`, with commands beside the mark: what the next transaction relies on. `told` takes their answers, and may throw.
   */
  async confirmWith(
    besides: readonly (readonly CommandArgument[])[],
    told: (replies: readonly Reply[]) => void,
  ): Promise<void> {
    const expected = this.#transaction.mark;
    try {
      this.#transaction = await WatchedTransaction.reopen(this.connection, this.#markKey, besides, told);
    } catch (cause) {
      if (cause instanceof Retryable) throw cause;
      throw markFault(this.name, this.#markKey, cause);
    }
    if (this.#transaction.mark !== expected) throw new StaleMark(this.name, expected, this.#transaction.mark);
  }

  /**
   * Runs the group and moves the mark from `expected` to `next`, both or neither.
   * Throws `StaleMark` when another writer moved it, `GroupRefused` when a command of the group can't be run, `Retryable`
   * DST-003 when the server can't for now (nothing happened), DST-001 when the outcome is unknown, and `CommandsFailed` when
   * commands ran into an error: the mark has moved then.
   */
  async apply(expected: Position | null, group: Request, next: Position): Promise<void> {
    for (const db of group.databases) await this.requireDatabase(db);
    const result = await this.#transaction
      .apply(expected === null ? null : formatMark(expected), group, formatMark(next))
      .catch((cause: unknown) => {
        throw destinationFault(this.name, cause);
      });
    if (result.outcome === "stale")
      throw new StaleMark(this.name, expected === null ? null : formatMark(expected), result.found);
    if (result.outcome === "refused") this.#refused(result.error, result.index);
    else if (result.errors.length > 0) throw new CommandsFailed(this.name, result.errors);
  }

  /** Whether the server holds nothing but keys of Sluice itself. */
  async isEmpty(): Promise<boolean> {
    return this.aside(async (connection) => {
      const keyspace = String(await connection.call(["INFO", "keyspace"]));
      const databases = [...keyspace.matchAll(/^db(\d+):keys=(\d+)/gm)].map(([, db, keys]) => [Number(db), Number(keys)]);
      const [first] = databases;
      if (first === undefined) return true;
      if (databases.length > 1 || first[0] !== 0 || (first[1] ?? 0) > MOST_OWN_KEYS) return false;
      const keys = await connection.call(["KEYS", "*"]);
      return Array.isArray(keys) && keys.every((key) => Buffer.isBuffer(key) && isOwnKey(key));
    });
  }

  close(): void {
    this.connection.close();
  }

  /** Throws `Halt` DST-010 where it has no such database: inside a transaction a SELECT that fails would let what follows run in another one. */
  async requireDatabase(db: number): Promise<void> {
    if (this.#databases.has(db)) return;
    const error = await this.aside(async (connection) =>
      connection.call(["SELECT", db]).then(
        () => null,
        (cause: unknown) => {
          if (cause instanceof ReplyError) return cause;
          throw cause;
        },
      ),
    );
    // A server that is busy or loads answers so, too, and says nothing of its databases.
    if (error !== null && verdictOf(error.message) === "wait") throw destinationFault(this.name, error);
    if (error !== null)
      throw new Halt("DST-010", `${this.name} has no database ${db}: ${printable(error.message)}`, { cause: error });
    this.#databases.add(db);
  }

  /** Asks something on a connection of its own: the one for transactions stands inside the next one already. */
  async aside<T>(ask: (connection: Connection) => Promise<T>): Promise<T> {
    let connection: Connection | null = null;
    try {
      connection = await Connection.open(this.connection.endpoint, { name: "sluice-aside", idleTimeoutMs: SILENCE_LIMIT_MS });
      return await ask(connection);
    } catch (cause) {
      throw destinationFault(this.name, cause);
    } finally {
      connection?.close();
    }
  }

  #refused(error: string, index: number): never {
    if (verdictOf(error) === "wait") {
      throw new Retryable("DST-003", `destination ${this.name}`, `destination ${this.name} answered ${quotable(error)}`);
    }
    throw new GroupRefused(error, index);
  }
}

/**
 * The mark is not the one that this writer set: another writer moved it, or the destination went back to an older state, or lost
 * it. Nothing was applied. The lane starts again from what stands there now.
 */
export class StaleMark extends Retryable {
  /** `expected`, `found`: marks as text, empty or null where there is none. */
  constructor(name: string, expected: string | null, found: string | null) {
    const [was, is] = [expected, found].map((mark) => (mark === null || mark === "" ? "none" : printable(mark.slice(0, 80))));
    super("DST-008", `destination ${name}`, `stale: ${name} holds mark ${is} where ${was} was expected; nothing was applied`);
  }
}

/** The fault that a failed call to a destination stands for. */
export function destinationFault(name: string, cause: unknown): Fault {
  const endpoint = `destination ${name}`;
  const untrusted = trustFault(cause);
  if (untrusted !== null) return new Halt("DST-020", `${endpoint}: ${printable(untrusted)}`, { cause });
  if (cause instanceof ConnectionLost)
    return new Retryable("DST-001", endpoint, `${endpoint}: the connection broke`, { cause });
  if (!(cause instanceof ReplyError)) return new Retryable("SLU-001", endpoint, `${endpoint}: failed`, { cause });
  // Without its cause, whose message is told with it: that is the whole reply.
  const message = `${endpoint} answered ${quotable(cause.message)}`;
  return verdictOf(cause.message) === "wait" ? new Retryable("DST-003", endpoint, message) : new Halt("DST-002", message);
}

/** As `destinationFault`, for what asked for the mark `markKey`: of all commands around it, only that can find another type. */
export function markFault(name: string, markKey: string, cause: unknown): Fault {
  if (!(cause instanceof ReplyError) || !cause.message.startsWith("WRONGTYPE")) return destinationFault(name, cause);
  return new Halt("DST-005", `the mark ${markKey} in ${name} is no string`);
}

const UNKNOWN_COMMAND = /unknown command|not (?:allowed|supported)/i;

/**
 * What a server says that has no RESTORE at all; null where it has one, or does not tell. Without arguments it does nothing. A user who may not
 * run it is told so only with the first value.
 */
export async function askForRestore(connection: Connection): Promise<string | null> {
  return connection.call(["RESTORE"]).then(
    () => null,
    (cause: unknown) => {
      if (!(cause instanceof ReplyError)) throw cause;
      return UNKNOWN_COMMAND.test(cause.message) ? cause.message : null;
    },
  );
}
