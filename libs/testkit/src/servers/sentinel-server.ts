import type { Redis } from "ioredis";
import { exchange } from "./exchange.ts";
import { openClient } from "./open-client.ts";
import { ServerLifecycle } from "./server-lifecycle.ts";
import { waitUntil } from "./wait-until.ts";

export interface SentinelServerOptions {
  /** The primary that it watches, on 127.0.0.1, and under which name (default `mymaster`). */
  readonly primary: { readonly port: number };
  readonly name?: string;
  /** Sentinels that must agree before one of them fails over; default 1. */
  readonly quorum?: number;
  /** Silence after which a server counts as down, in ms; default 1000. */
  readonly downAfterMs?: number;
  /** What clients have to prove themselves with; default: nothing. */
  readonly password?: string;
  /** More lines of sentinel.conf. */
  readonly config?: Readonly<Record<string, string>>;
}

/** A real Sentinel (`redis-server --sentinel`, 7.0 or newer) on 127.0.0.1 that fails over within seconds. */
export class SentinelServer implements AsyncDisposable {
  readonly #lifecycle: ServerLifecycle;
  readonly #name: string;
  readonly #client: Redis;

  private constructor(lifecycle: ServerLifecycle, name: string, password: string | undefined) {
    this.#lifecycle = lifecycle;
    this.#name = name;
    this.#client = openClient(`redis://${password === undefined ? "" : `:${password}@`}127.0.0.1:${lifecycle.port}`);
  }

  /** @throws Error when redis-server is missing, refuses the configuration or does not answer within 20 s */
  static async start(options: SentinelServerOptions): Promise<SentinelServer> {
    const { primary, name = "mymaster", quorum = 1, downAfterMs = 1_000, password, config = {} } = options;
    const lifecycle = await ServerLifecycle.start({
      name: "redis-sentinel",
      spawn: (port, dir) => {
        const lines = [
          `port ${port}`,
          "bind 127.0.0.1",
          `dir ${dir}`,
          `sentinel monitor ${name} 127.0.0.1 ${primary.port} ${quorum}`,
          `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
          `sentinel failover-timeout ${name} 5000`,
          ...(password === undefined ? [] : [`requirepass ${password}`]),
          ...Object.entries(config).map(([key, value]) => `${key} ${value}`),
        ];
        // Sentinel writes its configuration back, so it wants a file; one that exists is what it has learnt before.
        const file = `${dir}/sentinel.conf`;
        const script = `[ -e "$0" ] || cat > "$0"; exec redis-server "$0" --sentinel`;
        return { command: "sh", args: ["-c", script, file], input: lines.join("\n") + "\n" };
      },
      isReady: async (port) => /^(\+PONG|-NOAUTH)/.test(await exchange(port, "PING\r\n", (text) => text.endsWith("\n"))),
    });
    return new SentinelServer(lifecycle, name, password);
  }

  get port(): number {
    return this.#lifecycle.port;
  }

  /** `sentinel://127.0.0.1:port/name` */
  get url(): string {
    return `sentinel://127.0.0.1:${this.port}/${this.#name}`;
  }

  logTail(): string {
    return this.#lifecycle.process.logTail();
  }

  /** Port of the primary by its word. */
  async primaryPort(): Promise<number> {
    const answer = (await this.#client.call("SENTINEL", "get-master-addr-by-name", this.#name)) as [string, string] | null;
    if (answer === null) throw new Error(`the Sentinel on port ${this.port} knows no ${this.#name}`);
    return Number(answer[1]);
  }

  /** Names and values of every replica that it knows. */
  async replicas(): Promise<Map<string, string>[]> {
    const answer = (await this.#client.call("SENTINEL", "REPLICAS", this.#name)) as string[][];
    return answer.map((fields) => {
      const pairs = Array.from({ length: fields.length / 2 }, (_, at): [string, string] => [
        fields[2 * at] ?? "",
        fields[2 * at + 1] ?? "",
      ]);
      return new Map(pairs);
    });
  }

  /** Waits until it knows so many replicas that it could promote. */
  async waitForReplicas(count: number, timeoutMs = 60_000): Promise<void> {
    await waitUntil(
      `the Sentinel knows ${count} replicas`,
      async () =>
        (await this.replicas()).filter((one) => one.get("flags") === "slave" && one.get("port") !== "0").length >= count,
      { timeoutMs, details: () => this.logTail() },
    );
  }

  /**
   * SENTINEL FAILOVER: a replica takes the primary's place, without the agreement of other Sentinels. Asked again while it is
   * refused, since it does not know yet that a replica is good, or is still busy with the last one.
   */
  async failover(timeoutMs = 60_000): Promise<void> {
    const ask = async (): Promise<boolean> => (await this.#client.call("SENTINEL", "FAILOVER", this.#name)) === "OK";
    await waitUntil("the Sentinel fails over", ask, { timeoutMs, everyMs: 200, details: () => this.logTail() });
  }

  /**
   * Names the server on `port` from now on, and knows nothing of the one that it watched before, which goes on: as if that one and
   * its clients were behind a partition.
   */
  async abandonFor({ port }: { readonly port: number }): Promise<void> {
    await this.#client.call("SENTINEL", "REMOVE", this.#name);
    await this.#client.call("SENTINEL", "MONITOR", this.#name, "127.0.0.1", port, 1);
  }

  /** From now on so much silence in ms makes a server count as down, instead of `downAfterMs`. */
  async countAsDownAfter(silenceMs: number): Promise<void> {
    await this.#client.call("SENTINEL", "SET", this.#name, "down-after-milliseconds", silenceMs);
  }

  /** Waits until it names another primary than the one on `port`, and returns that one's port. */
  async waitForSuccessor(port: number, timeoutMs = 60_000): Promise<number> {
    return waitUntil(
      `the Sentinel names a successor of the primary on port ${port}`,
      async () => {
        const named = await this.primaryPort();
        return named === port ? null : named;
      },
      { timeoutMs, details: () => this.logTail() },
    );
  }

  /** Stops the process as it is (SIGSTOP): connections stay open and nothing is answered. */
  pause(): void {
    this.#lifecycle.process.suspend();
  }

  resume(): void {
    this.#lifecycle.process.signal("SIGCONT");
  }

  async kill(): Promise<void> {
    await this.#lifecycle.process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.disconnect();
    await this.#lifecycle.dispose();
  }
}
