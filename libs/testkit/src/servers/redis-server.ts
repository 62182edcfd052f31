import { Redis } from "ioredis";
import { exchange } from "./exchange.ts";
import { openClient } from "./open-client.ts";
import { ServerLifecycle } from "./server-lifecycle.ts";
import type { Exit } from "./spawned-process.ts";
import { waitUntil } from "./wait-until.ts";

export interface RedisServerOptions {
  /** Lines of redis.conf, e.g. `{ appendonly: "yes", "client-output-buffer-limit": "replica 0 0 0" }`; values are not quoted. */
  readonly config?: Readonly<Record<string, string>>;
  /** Working directory; kept at the end. Default: a temporary one. */
  readonly dir?: string;
  readonly port?: number;
  /** Starts it as a replica of this server of 127.0.0.1. Ready does not mean that it has synchronised: see `waitForSync`. */
  readonly replicaOf?: { readonly port: number };
}

const DEFAULTS: Readonly<Record<string, string>> = {
  bind: "127.0.0.1",
  save: '""',
  appendonly: "no",
  "enable-debug-command": "yes",
  "repl-diskless-sync-delay": "0",
};

/** A real redis-server (7.0 or newer) on 127.0.0.1, without persistence unless configured. */
export class RedisServer implements AsyncDisposable {
  readonly #lifecycle: ServerLifecycle;
  readonly #clients: Redis[] = [];
  #isPaused = false;

  private constructor(lifecycle: ServerLifecycle) {
    this.#lifecycle = lifecycle;
  }

  /** @throws Error when redis-server is missing, refuses its configuration or does not answer within 20 s */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const replica = options.replicaOf === undefined ? {} : { replicaof: `127.0.0.1 ${options.replicaOf.port}` };
    const lifecycle = await ServerLifecycle.start({
      name: "redis-server",
      port: options.port,
      dir: options.dir,
      spawn: (port, dir) => {
        const lines = { ...DEFAULTS, ...replica, ...options.config, port: String(port), dir: JSON.stringify(dir) };
        const input = Object.entries(lines)
          .map(([name, value]) => `${name} ${value}\n`)
          .join("");
        return { command: "redis-server", args: ["-"], input, remedy: "install the Debian package redis-server" };
      },
      isReady: async (port) => (await exchange(port, "PING\r\n", (text) => text.endsWith("\n"))).startsWith("+PONG"),
    });
    return new RedisServer(lifecycle);
  }

  get port(): number {
    return this.#lifecycle.port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#lifecycle.process.pid;
  }

  get dir(): string {
    return this.#lifecycle.dir;
  }

  /** False while it is killed or paused. */
  get isRunning(): boolean {
    return this.#lifecycle.process.exit === undefined && !this.#isPaused;
  }

  logTail(): string {
    return this.#lifecycle.process.logTail();
  }

  /** Waits for the end of the process. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    return this.#lifecycle.process.kill(signal);
  }

  /** Stops the process as it is (SIGSTOP): connections stay open and nothing is answered. */
  pause(): void {
    this.#isPaused = true;
    this.#lifecycle.process.suspend();
  }

  resume(): void {
    this.#isPaused = false;
    this.#lifecycle.process.signal("SIGCONT");
  }

  /** Ends the process if it still runs and starts another on the same port and directory; resolves when that one answers. */
  async restart(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#lifecycle.restart(signal);
    this.#isPaused = false;
  }

  /** A client of that database (RESP2, reconnecting, never resending), closed when the server is disposed of. */
  client(db = 0): Redis {
    const client = openClient(this.url, db);
    this.#clients.push(client);
    return client;
  }

  /** Makes it a replica of another server of 127.0.0.1; nothing happens if it is one already. */
  async replicate(primary: { readonly port: number }): Promise<void> {
    const own = this.client();
    const fields = await replicationFields(own);
    if (fields.get("master_port") !== String(primary.port)) await own.replicaof("127.0.0.1", primary.port);
    own.disconnect();
  }

  /** For a replica: waits until its link is up and it has everything that its primary had written when this was called. */
  async waitForSync(timeoutMs = 60_000): Promise<void> {
    const own = this.client();
    const link = await replicationFields(own);
    const primary = openClient(`redis://${link.get("master_host")}:${link.get("master_port")}`);
    try {
      const goal = await waitUntil("the primary answers", async () =>
        (await replicationFields(primary)).get("master_repl_offset"),
      );
      await waitUntil(
        `the replica on port ${this.port} reaches offset ${goal}`,
        async () => {
          const fields = await replicationFields(own);
          return fields.get("master_link_status") === "up" && Number(fields.get("slave_repl_offset")) >= Number(goal);
        },
        { timeoutMs, details: () => this.logTail() },
      );
    } finally {
      primary.disconnect();
      own.disconnect();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await this.#lifecycle.dispose();
  }
}

async function replicationFields(client: Redis): Promise<Map<string, string>> {
  const text = await client.info("replication");
  return new Map(text.split("\r\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]));
}
