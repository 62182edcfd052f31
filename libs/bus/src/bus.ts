import {
  AuthorizationError,
  connect,
  ConnectionError,
  TimeoutError,
  UserAuthenticationExpiredError,
  type NatsConnection,
} from "@nats-io/transport-node";
import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { Halt, printable, Retryable, trustFault, type Fault, type Logger, type NatsAccess } from "@sluice/runtime";
import { accessOptions } from "./access-options.ts";
import { readBusFacts, type BusFacts } from "./bus-facts.ts";
import { LaneStream } from "./lane-stream.ts";
import { Link, type BusFigures } from "./link.ts";
import { Records } from "./records.ts";

export interface BusOptions {
  /** One or several servers, separated by commas. */
  readonly url: string;
  /** TLS and credentials. Default: neither. */
  readonly access?: NatsAccess;
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

  /**
   * Throws `Retryable` BUS-001 when no server answers or JetStream is off, `Halt` BUS-011 when its certificate or ours is not trusted, BUS-012
   * when the credentials are refused.
   */
  static async connect(options: BusOptions): Promise<Bus> {
    const { url, access = { tls: null, auth: null }, name, log, replicas = 1 } = options;
    const servers = url.split(",").map((server) => server.trim());
    let connection: NatsConnection | null = null;
    try {
      connection = await connect({
        servers,
        ...accessOptions(access, servers),
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
      throw connectFault(url.replace(/[^/,]*@/g, "…@"), access, cause);
    }
  }

  /** The largest batch that a message may hold; read it again after every reconnect. */
  get maxBatchBytes(): number {
    return this.#link.maxBatchBytes;
  }

  /** Whether the connection stands now. */
  get isUp(): boolean {
    return this.#link.isUp;
  }

  get figures(): Readonly<BusFigures> {
    return this.#link.figures;
  }

  /** The stream of a pipeline, as a set of logs. It need not exist yet. */
  stream(pipeline: string): LaneStream {
    return new LaneStream(this.#link, this.#client, this.#manager, pipeline, this.#replicas);
  }

  /** What the servers say of themselves, and what they let us do to the stream of `pipeline`. Throws `Retryable` BUS-001. */
  async facts(pipeline: string): Promise<BusFacts> {
    return readBusFacts(this.#link, this.#manager, this.#replicas, pipeline);
  }

  async close(): Promise<void> {
    this.records.close();
    await this.#link.connection.close();
  }
}

/** No second try helps against certificates and credentials that are refused. */
function connectFault(url: string, { tls }: NatsAccess, cause: unknown): Fault {
  const untrusted = trustFault(cause);
  if (untrusted !== null) return new Halt("BUS-011", `NATS at ${url}: ${printable(untrusted)}`, { cause });
  if (cause instanceof ConnectionError && /support 'tls'/.test(cause.message))
    return new Halt("BUS-011", `NATS at ${url} knows no TLS, and tls:// asks for it`, { cause });
  if (cause instanceof AuthorizationError || cause instanceof UserAuthenticationExpiredError)
    return new Halt("BUS-012", `NATS at ${url} refuses the credentials`, { cause });
  // The library does not hear of the alert that comes behind the handshake.
  const silence = tls !== null && cause instanceof TimeoutError ? ", or refuses the client certificate: see its log" : "";
  return new Retryable("BUS-001", "bus", `NATS at ${url} does not answer${silence}`, { cause });
}
