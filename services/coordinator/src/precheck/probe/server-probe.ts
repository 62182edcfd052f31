import { Connection, ConnectionLost, endpointName, ReplyError, type Endpoint, type Reply } from "@sluice/redis";
import { isAboutCredentials, ServerFailure } from "./server-failure.ts";
import { ServerState } from "./server-state.ts";

/** How long connecting may take, and each answer. */
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * One server that is asked, by any number of checks at once, over two connections at most: one that all share, for questions that
 * leave no trace on a connection, and one that a single check has at a time. What it said once it is not asked again.
 */
export class ServerProbe {
  readonly endpoint: Endpoint;
  /** `host:port` */
  readonly name: string;
  /** Slots that it serves, as ranges, once that is known; none for a replica. */
  slots = "";
  readonly #deployment: string;
  readonly #signal: AbortSignal;
  readonly #answers = new Map<string, Promise<Reply>>();
  #shared: Promise<Connection> | null = null;
  #state: Promise<ServerState> | null = null;
  #alone: Promise<unknown> = Promise.resolve();

  /** `deployment`: what it is a server of, for `ServerFailure`. When `signal` aborts, everything that is asked rejects. */
  constructor(deployment: string, endpoint: Endpoint, signal: AbortSignal) {
    this.#deployment = deployment;
    this.endpoint = endpoint;
    this.name = endpointName(endpoint);
    this.#signal = signal;
  }

  /**
   * Asks one question; the same one again is answered from memory. It must not depend on what was asked before.
   * @throws {ReplyError} the answer is an error. @throws {ServerFailure} nothing can be asked.
   */
  async ask(...args: readonly string[]): Promise<Reply> {
    const key = args.join(" ");
    let answer = this.#answers.get(key);
    if (answer === undefined) {
      answer = this.askAnew(...args);
      this.#answers.set(key, answer);
    }
    return answer;
  }

  /** As `ask`, and asks again each time. */
  async askAnew(...args: readonly string[]): Promise<Reply> {
    this.#shared ??= this.#open();
    const connection = await this.#shared;
    return connection.call(args).catch((cause: unknown) => this.#lost(cause));
  }

  /** An answer that is text. Throws what `ask` throws, and `Error` when it is none. */
  async text(...args: readonly string[]): Promise<string> {
    return replyText(await this.ask(...args));
  }

  /** INFO with everything in it. Throws what `ask` throws; that we may not ask even this is a `ServerFailure`. */
  async state(): Promise<ServerState> {
    this.#state ??= this.#readState();
    return this.#state;
  }

  /** A setting, by CONFIG GET; null where this version has none of the name. Throws what `ask` throws. */
  async setting(name: string): Promise<string | null> {
    const reply = await this.ask("CONFIG", "GET", name);
    if (!Array.isArray(reply) || reply.length < 2) return null;
    return replyText(reply[1] ?? null);
  }

  /** A connection for one check at a time, for questions that depend on those before (SELECT, MULTI). */
  async alone<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const turn = this.#alone.then(async () => {
      const connection = await this.#open();
      try {
        return await work(connection);
      } catch (cause) {
        return this.#lost(cause);
      } finally {
        connection.close();
      }
    });
    this.#alone = turn.catch(() => undefined);
    return turn;
  }

  async #readState(): Promise<ServerState> {
    try {
      return new ServerState(await this.text("INFO", "all"));
    } catch (cause) {
      // Who may not ask INFO may do nothing.
      if (isAboutCredentials(cause)) throw new ServerFailure(this.#deployment, this.name, cause);
      throw cause;
    }
  }

  /** A server that breaks off in the middle of an answer is as good as one that can't be reached. */
  #lost(cause: unknown): never {
    throw cause instanceof ConnectionLost ? new ServerFailure(this.#deployment, this.name, cause) : cause;
  }

  async #open(): Promise<Connection> {
    try {
      return await Connection.open(this.endpoint, {
        connectTimeoutMs: ANSWER_TIMEOUT_MS,
        idleTimeoutMs: ANSWER_TIMEOUT_MS,
        signal: this.#signal,
      });
    } catch (cause) {
      throw new ServerFailure(this.#deployment, this.name, cause);
    }
  }
}

/** The text of a reply. @throws {Error} it is none. */
export function replyText(reply: Reply): string {
  if (reply instanceof ReplyError) throw reply;
  if (typeof reply === "string" || typeof reply === "number" || typeof reply === "bigint") return String(reply);
  if (Buffer.isBuffer(reply)) return reply.toString("latin1");
  throw new Error("expected text in a reply");
}
