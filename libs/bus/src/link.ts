import type { NatsConnection } from "@nats-io/transport-node";
import type { Logger } from "@sluice/runtime";

/** Bytes of a message that are not its payload: headers count towards the server's limit, and the client refuses locally. */
const MESSAGE_HEADROOM_BYTES = 1024;
const DEFAULT_MAX_PAYLOAD_BYTES = 1_048_576;

/** What went over one connection since it was first made. Counted for people: nothing is decided by it. */
export interface BusFigures {
  batchesStored: number;
  bytesStored: number;
  batchesRefused: number;
  batchesUnanswered: number;
  batchesRead: number;
  bytesRead: number;
  reconnects: number;
}

/**
 * Whether the connection to NATS stands. The client library answers nothing while it does not: what it is asked then, or was
 * asked just before, is dropped without a word and rejects only when its time is up. Here it rejects when the connection breaks.
 */
export class Link {
  readonly connection: NatsConnection;
  readonly figures: BusFigures = {
    batchesStored: 0,
    bytesStored: 0,
    batchesRefused: 0,
    batchesUnanswered: 0,
    batchesRead: 0,
    bytesRead: 0,
    reconnects: 0,
  };
  readonly #log: Logger;
  readonly #listeners = new Set<(isUp: boolean) => void>();
  #isUp = true;
  #maxPayloadBytes = DEFAULT_MAX_PAYLOAD_BYTES;

  constructor(connection: NatsConnection, log: Logger) {
    this.connection = connection;
    this.#log = log;
    void this.#follow();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** The largest batch that a message may hold, by the server that is or was connected last. */
  get maxBatchBytes(): number {
    // There is no server to ask between two connections.
    this.#maxPayloadBytes = this.connection.info?.max_payload ?? this.#maxPayloadBytes;
    return this.#maxPayloadBytes - MESSAGE_HEADROOM_BYTES;
  }

  /** Calls `listener` whenever the connection broke or stands again, until the returned function is called. */
  onChange(listener: (isUp: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The answer to `request`. Rejects at once while there is no connection, and when it breaks before the answer: its outcome is unknown then. */
  async ask<T>(request: () => Promise<T>): Promise<T> {
    if (!this.#isUp) throw new Error("there is no connection to NATS");
    return new Promise<T>((resolve, reject) => {
      const forget = this.onChange(() => {
        forget();
        reject(new Error("the connection to NATS broke before the answer"));
      });
      void request().then(resolve, reject).finally(forget);
    });
  }

  async #follow(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === "disconnect") {
        this.#log.warn({ server: status.server }, "bus: connection lost");
        this.#become(false);
      } else if (status.type === "reconnect") {
        this.#log.info({ server: status.server }, "bus: connected again");
        this.figures.reconnects++;
        this.#become(true);
      } else if (status.type === "error") this.#log.warn({ error: status.error.message }, "bus: error");
    }
    this.#become(false);
  }

  #become(isUp: boolean): void {
    this.#isUp = isUp;
    // A listener may forget itself meanwhile.
    for (const listener of Array.from(this.#listeners)) listener(isUp);
  }
}
