import type { Endpoint } from "@sluice/redis";
import type { Clock } from "@sluice/runtime";
import { DeploymentProbe } from "./deployment-probe.ts";
import type { ServerProbe } from "./server-probe.ts";
import { ServerState } from "./server-state.ts";

/** How fast a server's replication stream grows. */
export interface WriteRate {
  readonly bytesPerSecond: number;
  /** Nobody has a stream from it yet: this is all that clients send, reads included. */
  readonly isUpperBound: boolean;
}

const SAMPLE_MS = 1_000;

/** The source of the pipeline: what its primaries hold and do, together. */
export class SourceProbe extends DeploymentProbe {
  readonly #clock: Clock;
  readonly #rates = new Map<ServerProbe, Promise<WriteRate>>();

  constructor(endpoint: Endpoint, signal: AbortSignal, clock: Clock) {
    super("source", endpoint, signal);
    this.#clock = clock;
  }

  /** Every primary's own words. Rejects when one can't be asked. */
  async states(): Promise<ServerState[]> {
    return Promise.all((await this.primaries()).map(async (server) => server.state()));
  }

  /** Calls of each command, on all primaries together. */
  async calls(): Promise<Map<string, number>> {
    const total = new Map<string, number>();
    for (const { calls } of await this.states()) {
      for (const [command, count] of calls) total.set(command, (total.get(command) ?? 0) + count);
    }
    return total;
  }

  async dataBytes(): Promise<number> {
    return (await this.states()).reduce((sum, { dataBytes }) => sum + dataBytes, 0);
  }

  /** Databases that hold keys, in ascending order. */
  async databases(): Promise<number[]> {
    const all = (await this.states()).flatMap(({ keyspace }) => [...keyspace.keys()]);
    return [...new Set(all)].toSorted((a, b) => a - b);
  }

  /** Sampled over a second where the server counts; the same answer to all who ask. */
  async writeRate(server: ServerProbe): Promise<WriteRate> {
    let rate = this.#rates.get(server);
    if (rate === undefined) {
      rate = this.#sample(server);
      this.#rates.set(server, rate);
    }
    return rate;
  }

  /** Of all primaries together. */
  async totalWriteRate(): Promise<WriteRate> {
    const rates = await Promise.all((await this.primaries()).map(async (server) => this.writeRate(server)));
    return {
      bytesPerSecond: rates.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0),
      isUpperBound: rates.some(({ isUpperBound }) => isUpperBound),
    };
  }

  async #sample(server: ServerProbe): Promise<WriteRate> {
    const state = await server.state();
    // Without a backlog a primary does not count what it would send (replication.c, `replicationFeedSlaves`).
    if (state.text("repl_backlog_active") !== "1") {
      return { bytesPerSecond: (state.number("instantaneous_input_kbps") ?? 0) * 1024, isUpperBound: true };
    }
    const offset = async (): Promise<number> => {
      const answer = await server.askAnew("INFO", "replication");
      return new ServerState(String(answer)).number("master_repl_offset") ?? 0;
    };
    const [first, began] = [await offset(), this.#clock.monotonicMs()];
    await this.#clock.sleep(SAMPLE_MS, this.signal);
    const [last, ended] = [await offset(), this.#clock.monotonicMs()];
    return { bytesPerSecond: (Math.max(0, last - first) * 1000) / Math.max(1, ended - began), isUpperBound: false };
  }
}
