import {
  encodeCommand,
  errorsInArray,
  ReplyError,
  ReplyType,
  type CommandArgument,
  type Connection,
  type Reply,
  type ReplyFramer,
} from "@sluice/redis";
import type { Request } from "./request.ts";

/** An error reply to one command of a group; `index` counts the group's commands from 0. */
export interface CommandError {
  readonly index: number;
  readonly error: string;
}

/**
 * - `applied`: the mark moved and all commands ran; `errors`: those that ran into an error (EXEC does not roll back, H16).
 * - `stale`: nothing changed, because the mark is not the expected one but `found`.
 * - `refused`: nothing changed, because the server would not take a command (`index`), or the transaction (-1).
 */
export type ApplyResult =
  | { readonly outcome: "applied"; readonly errors: readonly CommandError[] }
  | { readonly outcome: "stale"; readonly found: string | null }
  | { readonly outcome: "refused"; readonly index: number; readonly error: string };

const MULTI = encodeCommand(["MULTI"]);
const EXEC = encodeCommand(["EXEC"]);
const SELECT_0 = encodeCommand(["SELECT", 0]);
const QUEUED = Buffer.from("+QUEUED\r\n");
/** Commands of our own between the group's replies and EXEC's: SELECT 0, SET mark. */
const OWN_COMMANDS = 2;

/**
 * `apply` for a destination that has all slots on one server: atomically, if the mark is `expected`, runs the commands and
 * sets the mark to `next`; otherwise changes nothing.
 *
 * The guard costs no round trip. Behind every transaction the same write watches and reads the mark for the next one, and opens it:
 *
 *     write 1    WATCH mark  GET mark  MULTI
 *     write 2    …group 1…  SELECT 0  SET mark m1  EXEC   WATCH mark  GET mark  MULTI
 *     write 3    …group 2…  SELECT 0  SET mark m2  EXEC   WATCH mark  GET mark  MULTI
 *
 * Write 3 is sent only after write 2's GET has answered m1, so between that GET and write 3's EXEC nobody can have moved the
 * mark unnoticed: EXEC answers nil if anyone did, and nothing of the group happened. That holds for a writer that was
 * suspended for an hour as for two that both believe they own the lane (H17). One transaction is under way per connection;
 * it begins and ends in database 0. Nor is write 3 sent where the server refused the WATCH or the MULTI before it (BUSY before
 * Redis 6.0.2, a permission taken away): its group would run unguarded, or bare.
 *
 * When the connection breaks, the outcome is unknown: open another, and its first GET tells.
 */
export class WatchedTransaction {
  readonly #connection: Connection;
  readonly #markKey: string;
  readonly #rearm: Buffer;
  #mark: string | null = null;
  #beside: Reply = null;
  /** Why the next transaction is not guarded or not open; null when it is both. */
  #unarmed: string | null = null;

  private constructor(connection: Connection, markKey: string) {
    this.#connection = connection;
    this.#markKey = markKey;
    this.#rearm = Buffer.concat([encodeCommand(["WATCH", markKey]), encodeCommand(["GET", markKey]), MULTI]);
  }

  /**
   * Reads and watches the mark, then reads the hash `besideKey`: what changes there, changes with the mark, which is watched by
   * then. Throws `ReplyError` or `ConnectionLost`.
   */
  static async open(connection: Connection, markKey: string, besideKey?: string): Promise<WatchedTransaction> {
    const transaction = new WatchedTransaction(connection, markKey);
    await connection.call(["SELECT", 0]);
    // A user who may not run EXEC is found out before there is a group.
    await connection.call(["MULTI"]);
    await connection.call(["EXEC"]);
    await connection.call(["WATCH", markKey]);
    const mark = await connection.call(["GET", markKey]);
    transaction.#mark = Buffer.isBuffer(mark) ? mark.toString("latin1") : null;
    if (besideKey !== undefined) transaction.#beside = await readHash(connection, besideKey);
    await connection.call(["MULTI"]);
    return transaction;
  }

  /**
   * As `open`, for another mark on a connection that served others: one round trip. What it watched before is forgotten. `besides`: commands that
   * run in front of the transaction, outside of it; `told` takes their answers. One may watch another key, and must then go back to database 0.
   */
  static async reopen(
    connection: Connection,
    markKey: string,
    besides: readonly (readonly CommandArgument[])[] = [],
    told: (replies: readonly Reply[]) => void = () => undefined,
  ): Promise<WatchedTransaction> {
    const transaction = new WatchedTransaction(connection, markKey);
    // What served before left a transaction open, as every `apply` does.
    const discarded = connection.call(["DISCARD"]).catch((cause: unknown) => {
      if (!(cause instanceof ReplyError)) throw cause;
    });
    const [[, , , mark], replies] = await Promise.all([
      Promise.all([
        discarded,
        connection.call(["UNWATCH"]),
        connection.call(["WATCH", markKey]),
        connection.call(["GET", markKey]),
      ]),
      Promise.all(besides.map(async (command) => connection.call(command))),
      connection.call(["MULTI"]),
    ]);
    transaction.#mark = Buffer.isBuffer(mark) ? mark.toString("latin1") : null;
    told(replies);
    return transaction;
  }

  /** The hash beside the mark as `open` found it, as HGETALL answers; null where it was not asked for or may not be read. */
  get beside(): Reply {
    return this.#beside;
  }

  /** The mark as it was last read from the destination; null where there is none. */
  get mark(): string | null {
    return this.#mark;
  }

  /**
   * The group may select databases as it likes; it is on database 0 at its begin. Throws `ConnectionLost`, after which the
   * outcome is unknown, and `ReplyError`, with nothing sent, once the server refused to watch the mark or to open a transaction.
   */
  async apply(expected: string | null, group: Request, next: string): Promise<ApplyResult> {
    if (this.#unarmed !== null) throw new ReplyError(this.#unarmed);
    if (this.#mark !== expected) return { outcome: "stale", found: this.#mark };
    const replies = new TransactionReplies(group.commands);
    const request = [...group.finish(), SELECT_0, encodeCommand(["SET", this.#markKey, next]), EXEC, this.#rearm];
    await this.#connection.exchange(request, replies.count, (framer, remaining) => replies.take(framer, remaining));
    this.#mark = replies.mark;
    this.#unarmed = replies.unarmed;
    return replies.result();
  }
}

async function readHash(connection: Connection, key: string): Promise<Reply> {
  return connection.call(["HGETALL", key]).catch((cause: unknown) => {
    if (cause instanceof ReplyError && cause.code === "NOPERM") return null;
    throw cause;
  });
}

/** Reads the replies to one watched transaction: counts what is as it should be, keeps what is not. */
class TransactionReplies {
  readonly #commands: number;
  #seen = 0;
  #refused: CommandError | null = null;
  #aborted: string | null = null;
  #isNil = false;
  readonly #errors: CommandError[] = [];
  /** Of thousands of errors most say the same. */
  readonly #texts = new Map<string, string>();
  mark: string | null = null;
  unarmed: string | null = null;

  constructor(commands: number) {
    this.#commands = commands;
  }

  /** The group, our own, EXEC, WATCH, GET, MULTI. */
  get count(): number {
    return this.#commands + OWN_COMMANDS + 4;
  }

  take(framer: ReplyFramer, remaining: number): number {
    const queued = this.#commands + OWN_COMMANDS;
    const before = this.#seen;
    while (this.#seen - before < remaining) {
      if (this.#seen < queued) {
        this.#seen += framer.takeRun(QUEUED, Math.min(queued - this.#seen, remaining - (this.#seen - before)));
        if (this.#seen - before === remaining || this.#seen === queued) continue;
      }
      if (!framer.next()) break;
      this.#judge(framer, this.#seen - queued);
      this.#seen++;
    }
    return this.#seen - before;
  }

  /** `place`: 0 for EXEC, 1 for WATCH, 2 for GET, 3 for MULTI, negative for what is queued. */
  #judge(framer: ReplyFramer, place: number): void {
    const { buffer, start, end, type } = framer;
    if (place < 0) {
      if (type === ReplyType.error) this.#refused ??= { index: this.#seen, error: errorText(buffer, start, end) };
    } else if (place === 0) {
      if (type === ReplyType.error) this.#aborted = errorText(buffer, start, end);
      else if (buffer[start + 1] === 45) this.#isNil = true;
      else errorsInArray(buffer, start, end, (index, from, to) => this.#keep(index, buffer.toString("utf8", from + 1, to)));
    } else if (type === ReplyType.error) this.unarmed ??= errorText(buffer, start, end);
    else if (place === 2 && type === ReplyType.bulk && buffer[start + 1] !== 45) {
      this.mark = buffer.toString("latin1", buffer.indexOf(10, start) + 1, end - 2);
    }
  }

  #keep(index: number, error: string): void {
    const text = this.#texts.get(error) ?? error;
    if (text === error) this.#texts.set(error, text);
    this.#errors.push({ index, error: text });
  }

  /** A command that was refused while the transaction ran all the same is one that failed: not even a server's mistake is passed over. */
  result(): ApplyResult {
    if (this.#aborted === null && !this.#isNil && this.#refused !== null) this.#errors.unshift(this.#refused);
    if (this.#aborted !== null) {
      const { index, error } = this.#refused ?? { index: -1, error: this.#aborted };
      return { outcome: "refused", index, error };
    }
    if (this.#isNil) return { outcome: "stale", found: this.mark };
    return { outcome: "applied", errors: this.#errors };
  }
}

/** An error reply without its minus and its line end. */
function errorText(buffer: Buffer, start: number, end: number): string {
  return buffer.toString("utf8", start + 1, end - 2);
}
