import { setTimeout as delay } from "node:timers/promises";
import { ApiClient, ApiUnreachable } from "../api/api-client.ts";
import { OperatorError } from "../operator-error.ts";
import type { DataDirectory } from "../processes/data-directory.ts";
import { formatListen, freeAddress, parseListen } from "../processes/listen-address.ts";
import { natsReady, planNats } from "../processes/nats-plan.ts";
import { writeRunRecord } from "../processes/run-record.ts";
import { planService, type ServiceSettings } from "../processes/service-plan.ts";
import { Supervisor } from "../processes/supervisor.ts";

const API_LIMIT_MS = 60_000;
const POLL_MS = 100;

export interface RunTreeOptions {
  readonly writers: number;
  readonly ingests: number;
  /** `host:port`; port 0 takes any free one. */
  readonly api: string;
  readonly logLevel: string;
}

/** Where the parts of a run can be reached. */
export interface RunAddresses {
  /** `host:port`, or https://… where it has a certificate. */
  readonly api: string;
  readonly nats: string;
}

/** The processes of `sluice run`: a nats-server and every service, kept alive, written down in `run.json`. */
export class RunTree {
  readonly #directory: DataDirectory;
  readonly #options: RunTreeOptions;
  readonly #supervisor: Supervisor;
  #addresses: RunAddresses | null = null;
  #recording: Promise<void> = Promise.resolve();

  /** `notice` gets a line whenever a process died and is started again. */
  constructor(directory: DataDirectory, options: RunTreeOptions, notice: (line: string) => void) {
    this.#directory = directory;
    this.#options = options;
    this.#supervisor = new Supervisor({ notice, changed: () => this.#record() });
  }

  /** Resolves when the API answers. Rejects with the reason of `signal` when that aborts. */
  async start(signal: AbortSignal): Promise<RunAddresses> {
    const wanted = parseListen(this.#options.api, "--api");
    const listen = await freeAddress(wanted);
    if (listen === null) {
      throw new OperatorError(
        `${formatListen(wanted)}, where the API is to listen, is in use`,
        "Name another address with --api host:port; port 0 takes any free one.",
      );
    }
    const api = apiAddress(formatListen(listen), process.env);
    const nats = await planNats(this.#directory);
    this.#addresses = { api, nats: nats.url };
    await this.#supervisor.start([nats.plan]);
    await natsReady(nats, signal);
    const settings: ServiceSettings = {
      directory: this.#directory,
      natsUrl: nats.url,
      secretKey: await this.#directory.secretKey(),
      logLevel: this.#options.logLevel,
      api: formatListen(listen),
    };
    await this.#supervisor.start([
      planService("router", "router-1", settings),
      planService("coordinator", "coordinator-1", settings),
      ...numbered("ingest", this.#options.ingests).map((name) => planService("ingest", name, settings)),
      ...numbered("writer", this.#options.writers).map((name) => planService("writer", name, settings)),
    ]);
    await this.#apiReady(new ApiClient(api), signal);
    return this.#addresses;
  }

  /** Ends the services and then the nats-server, and gives the data directory back. */
  async stop(): Promise<void> {
    await this.#supervisor.stop();
    await this.#recording;
    await this.#directory.release();
  }

  /** Ends every process at once; the next run clears up. */
  kill(): void {
    this.#supervisor.kill();
  }

  async #apiReady(api: ApiClient, signal: AbortSignal): Promise<void> {
    const deadlineMs = performance.now() + API_LIMIT_MS;
    for (;;) {
      signal.throwIfAborted();
      try {
        await api.list();
        return;
      } catch (cause) {
        if (!(cause instanceof ApiUnreachable)) throw cause;
        if (performance.now() > deadlineMs)
          throw new OperatorError(cause.message, `The coordinator's log: ${this.#directory.logFile("coordinator-1")}`, 1, {
            cause,
          });
      }
      await delay(POLL_MS, undefined, { signal });
    }
  }

  /** Writes come one after the other, so that the last one says what holds. */
  #record(): void {
    const before = this.#recording;
    this.#recording = this.#writeRecord(before);
  }

  async #writeRecord(before: Promise<void>): Promise<void> {
    await before;
    if (this.#addresses === null) return;
    const record = { pid: process.pid, ...this.#addresses, processes: this.#supervisor.pids };
    await writeRunRecord(this.#directory.path, record).catch(() => undefined); // a full disk must not end the run
  }
}

/** The coordinator of a run has the certificate of this process's environment, if any. */
function apiAddress(listen: string, environment: NodeJS.ProcessEnv): string {
  return environment["SLUICE_API_CERT"] === undefined ? listen : `https://${listen}`;
}

function numbered(service: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${service}-${index + 1}`);
}
