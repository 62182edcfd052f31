import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exchange } from "./exchange.ts";
import { ServerLifecycle } from "./server-lifecycle.ts";
import type { Exit } from "./spawned-process.ts";

export interface NatsServerOptions {
  /** JetStream's store; kept at the end. Default: a temporary directory. */
  readonly storeDir?: string;
  readonly port?: number;
  /** Lines of its configuration file: TLS, users. It is then taken for ready when it greets with JetStream on. */
  readonly config?: string;
}

/** Asks JetStream for its state and ends with a PING, see docs.nats.io "NATS client protocol" and "JetStream wire API". */
const ASK_JETSTREAM = "CONNECT {}\r\nSUB _INBOX.ready 1\r\nPUB $JS.API.INFO _INBOX.ready 0\r\n\r\n";

/** A real nats-server with JetStream in file storage on 127.0.0.1. */
export class NatsServer implements AsyncDisposable {
  readonly #lifecycle: ServerLifecycle;
  readonly #configFolder: string | null;

  private constructor(lifecycle: ServerLifecycle, configFolder: string | null) {
    this.#lifecycle = lifecycle;
    this.#configFolder = configFolder;
  }

  /** Resolves when JetStream answers. @throws Error when nats-server is missing or JetStream does not answer within 20 s */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const folder = options.config === undefined ? null : await mkdtemp(join(tmpdir(), "sluice-nats-config-"));
    const config = folder === null ? null : join(folder, "nats.conf");
    if (config !== null) await writeFile(config, options.config ?? "", { mode: 0o600 });
    const lifecycle = await ServerLifecycle.start({
      name: "nats-server",
      port: options.port,
      dir: options.storeDir,
      spawn: (port, dir) => ({
        command: "nats-server",
        args: [
          "--jetstream",
          "--store_dir",
          dir,
          "--addr",
          "127.0.0.1",
          "--port",
          String(port),
          ...(config === null ? [] : ["--config", config]),
        ],
        remedy: "install the Debian package nats-server",
      }),
      isReady: async (port) => {
        if (config !== null) return /"jetstream":\s*true/.test(await exchange(port, "", (text) => text.includes("\r\n")));
        const answer = await exchange(port, ASK_JETSTREAM, (text) => /\r\nMSG [^\r]*\r\n[^\r]*\r\n/.test(text));
        return answer.includes("account_info_response") && !answer.includes('"error"');
      },
    });
    return new NatsServer(lifecycle, folder);
  }

  get port(): number {
    return this.#lifecycle.port;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#lifecycle.process.pid;
  }

  get dir(): string {
    return this.#lifecycle.dir;
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
    this.#lifecycle.process.suspend();
  }

  resume(): void {
    this.#lifecycle.process.signal("SIGCONT");
  }

  /** Ends the process if it still runs and starts another on the same port and store; resolves when JetStream answers. */
  async restart(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#lifecycle.restart(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lifecycle.dispose();
    if (this.#configFolder !== null) await rm(this.#configFolder, { recursive: true, force: true });
  }
}
