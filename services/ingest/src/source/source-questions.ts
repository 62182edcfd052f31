import { Connection, ReplyError, type CommandArgument, type Endpoint, type Reply } from "@sluice/redis";
import { sourceFault } from "./psync-reply.ts";

/** So long a question may go without an answer; the replication link is not read meanwhile. */
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * A connection beside a replication link, for questions to the same server that may be asked twice. It is opened with the first question, and again where
 * the server has closed it meanwhile (`timeout`).
 */
export class SourceQuestions {
  readonly #shard: string;
  readonly #endpoint: Endpoint;
  readonly #signal: AbortSignal;
  #connection: Connection | null = null;

  /** Nothing stays open when `signal` aborts. */
  constructor(shard: string, endpoint: Endpoint, signal: AbortSignal) {
    this.#shard = shard;
    this.#endpoint = endpoint;
    this.#signal = signal;
  }

  /** Rejects with `ReplyError` where the server refuses, else with the fault that a broken connection stands for. */
  async ask(request: readonly CommandArgument[]): Promise<Reply> {
    const standing = this.#connection;
    if (standing?.isOpen === true) {
      try {
        return await standing.call(request);
      } catch (cause) {
        if (cause instanceof ReplyError) throw cause;
        standing.close();
      }
    }
    try {
      const options = { signal: this.#signal, idleTimeoutMs: ANSWER_TIMEOUT_MS };
      this.#connection = await Connection.open(this.#endpoint, options);
    } catch (cause) {
      throw sourceFault(this.#shard, cause);
    }
    try {
      return await this.#connection.call(request);
    } catch (cause) {
      throw cause instanceof ReplyError ? cause : sourceFault(this.#shard, cause);
    }
  }
}
