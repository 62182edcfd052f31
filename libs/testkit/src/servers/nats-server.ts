import { exchange } from "./exchange.ts";
import { ServerLifecycle } from "./server-lifecycle.ts";
import type { Exit } from "./spawned-process.ts";

export interface NatsServerOptions {
  /** JetStream's store; kept at the end. Default: a temporary directory. */
  readonly storeDir?: string;
  readonly port?: number;
}

/** Asks JetStream for its state and ends with a PING, see docs.nats.io "NATS client protocol" and "JetStream wire API". */
const ASK_JETSTREAM = "CONNECT {}\r\nSUB _INBOX.ready 1\r\nPUB $JS.API.INFO _INBOX.ready 0\r\n\r\n";

/** A real nats-server with JetStream in file storage on 127.0.0.1. */
export class NatsServer implements AsyncDisposable {
  readonly #lifecycle: ServerLifecycle;

  private constructor(lifecycle: ServerLifecycle) {
    this.#lifecycle = lifecycle;
  }

  /** Resolves when JetStream answers. @throws Error when nats-server is missing or JetStream does not answer within 20 s */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const lifecycle = await ServerLifecycle.start({
      name: "nats-server",
      port: options.port,
      dir: options.storeDir,
      spawn: (port, dir) => ({
        command: "nats-server",
        args: ["--jetstream", "--store_dir", dir, "--addr", "127.0.0.1", "--port", String(port)],
        remedy: "install the Debian package nats-server",
      }),
      isReady: async (port) => {
        const answer = await exchange(port, ASK_JETSTREAM, (text) => /\r\nMSG [^\r]*\r\n[^\r]*\r\n/.test(text));
        return answer.includes("account_info_response") && !answer.includes('"error"');
      },
    });
    return new NatsServer(lifecycle);
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
  }
}
