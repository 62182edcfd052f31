import { connect, type NatsConnection } from "@nats-io/transport-node";
import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { Retryable, type Logger } from "@sluice/runtime";
import { LaneStream } from "./lane-stream.ts";
import { Link } from "./link.ts";
import { Records } from "./records.ts";

export interface BusOptions {
  /** One or several servers, separated by commas. */
  readonly url: string;
  /** Name of this client, as the servers show it. */
  readonly name: string;
  readonly log: Logger;
  /** Servers that keep a copy of each stream and of the records: 1 to 5. Default 1. */
  readonly replicas?: number;
}

const RECONNECT_WAIT_MS = 250;
const REQUEST_TIMEOUT_MS = 5_000;

/**
 * A connection to JetStream. It reconnects for ever by itself; what is under way then fails with `Retryable` BUS-001 and its
 * outcome is unknown. All that Sluice asks of NATS stands in this package.
 */
export class Bus {
  readonly records: Records;
  readonly #link: Link;
  readonly #client: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #replicas: number;

  private constructor(link: Link, client: JetStreamClient, manager: JetStreamManager, records: Records, replicas: number) {
    this.#link = link;
    this.#client = client;
    this.#manager = manager;
    this.#replicas = replicas;
    this.records = records;
  }

  /** Throws `Retryable` BUS-001 when no server answers or JetStream is off. */
  static async connect(options: BusOptions): Promise<Bus> {
    const { url, name, log, replicas = 1 } = options;
    let connection: NatsConnection | null = null;
    try {
      connection = await connect({
        servers: url.split(",").map((server) => server.trim()),
        name,
        maxReconnectAttempts: -1,
        ignoreAuthErrorAbort: true,
        reconnectTimeWait: RECONNECT_WAIT_MS,
        reconnectJitter: 50,
        pingInterval: 5_000,
        maxPingOut: 3,
        timeout: REQUEST_TIMEOUT_MS,
      });
      const link = new Link(connection, log);
      const client = jetstream(connection, { timeout: REQUEST_TIMEOUT_MS });
      const manager = await jetstreamManager(connection, { timeout: REQUEST_TIMEOUT_MS });
      const records = await Records.open(link, client, manager, replicas, log);
      return new Bus(link, client, manager, records, replicas);
    } catch (cause) {
      await connection?.close();
      throw new Retryable("BUS-001", "bus", `NATS at ${url.replace(/[^/,]*@/g, "…@")} does not answer`, { cause });
    }
  }

  /** The largest batch that a message may hold; read it again after every reconnect. */
  get maxBatchBytes(): number {
    return this.#link.maxBatchBytes;
  }

  /** The stream of a pipeline, as a set of logs. It need not exist yet. */
  stream(pipeline: string): LaneStream {
    return new LaneStream(this.#link, this.#client, this.#manager, pipeline, this.#replicas);
  }

  async close(): Promise<void> {
    this.records.close();
    await this.#link.connection.close();
  }
}
