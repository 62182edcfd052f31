import { connect, type NatsConnection } from "@nats-io/transport-node";
import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { Retryable, type Logger } from "@sluice/runtime";
import { LaneStream } from "./lane-stream.ts";
import { Records } from "./records.ts";

export interface BusOptions {
  /** One or several servers, separated by commas. */
  readonly url: string;
  /** Name of this client, as the servers show it. */
  readonly name: string;
  readonly log: Logger;
}

/** Bytes of a message that are not its payload: headers count towards the server's limit, and the client refuses locally. */
const MESSAGE_HEADROOM_BYTES = 1024;
const RECONNECT_WAIT_MS = 250;
const REQUEST_TIMEOUT_MS = 5_000;

/**
 * A connection to JetStream. It reconnects for ever by itself; what is under way then fails with `Retryable` BUS-001 and its
 * outcome is unknown. All that Sluice asks of NATS stands in this package.
 */
export class Bus {
  readonly records: Records;
  readonly #connection: NatsConnection;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;

  private constructor(connection: NatsConnection, client: JetStreamClient, manager: JetStreamManager, records: Records) {
    this.#connection = connection;
    this.#client = client;
    this.#manager = manager;
    this.records = records;
  }

  /** Throws `Retryable` BUS-001 when no server answers or JetStream is off. */
  static async connect(options: BusOptions): Promise<Bus> {
    const { url, name, log } = options;
    try {
      const connection = await connect({
        servers: url.split(","),
        name,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RECONNECT_WAIT_MS,
        reconnectJitter: 50,
        pingInterval: 5_000,
        maxPingOut: 3,
        timeout: REQUEST_TIMEOUT_MS,
      });
      void watchStatus(connection, log);
      const client = jetstream(connection, { timeout: REQUEST_TIMEOUT_MS });
      const manager = await jetstreamManager(connection, { timeout: REQUEST_TIMEOUT_MS });
      const records = await Records.open(connection, client, log);
      return new Bus(connection, client, manager, records);
    } catch (cause) {
      throw new Retryable("BUS-001", "bus", `NATS at ${url} does not answer`, { cause });
    }
  }

  /** The largest batch that a message may hold; read it again after every reconnect. */
  get maxBatchBytes(): number {
    return (this.#connection.info?.max_payload ?? 1_048_576) - MESSAGE_HEADROOM_BYTES;
  }

  /** The stream of a pipeline, as a set of logs. It need not exist yet. */
  stream(pipeline: string): LaneStream {
    return new LaneStream(this.#connection, this.#client, this.#manager, pipeline);
  }

  async close(): Promise<void> {
    this.records.close();
    await this.#connection.close();
  }
}

async function watchStatus(connection: NatsConnection, log: Logger): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === "disconnect") log.warn({ server: status.server }, "bus: connection lost");
    else if (status.type === "reconnect") log.info({ server: status.server }, "bus: connected again");
    else if (status.type === "error") log.warn({ error: status.error.message }, "bus: error");
  }
}
