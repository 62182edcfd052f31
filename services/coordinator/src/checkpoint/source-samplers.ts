import { endpointName, type Endpoint } from "@sluice/redis";
import type { Clock, Logger } from "@sluice/runtime";
import { SourceSampler } from "./source-sampler.ts";

interface Sampling {
  readonly address: string;
  readonly sampler: SourceSampler;
  readonly stopping: AbortController;
}

/** One sampler for each source shard, which follows the shard to where it is served. */
export class SourceSamplers {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #running = new Map<string, Sampling>();
  readonly #ended = new Set<Promise<void>>();

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** By shard id. */
  get views(): ReadonlyMap<string, SourceSampler> {
    return new Map([...this.#running].map(([id, { sampler }]) => [id, sampler]));
  }

  /** Samples exactly these shards from now on, each at its endpoint; what is known of a shard that only moved stays known. */
  keep(shards: ReadonlyMap<string, Endpoint>): void {
    for (const [id, { stopping }] of this.#running) {
      if (shards.has(id)) continue;
      stopping.abort();
      this.#running.delete(id);
    }
    for (const [id, endpoint] of shards) {
      const address = endpointName(endpoint);
      const running = this.#running.get(id);
      if (running?.address === address) continue;
      running?.stopping.abort();
      const sampler = running?.sampler ?? new SourceSampler(this.#clock, this.#log.child({ shard: id }));
      const stopping = new AbortController();
      this.#running.set(id, { address, sampler, stopping });
      const ended = sampler.run(endpoint, stopping.signal).finally(() => this.#ended.delete(ended));
      this.#ended.add(ended);
    }
  }

  /** Stops all of them; resolves when they have ended. */
  async stop(): Promise<void> {
    this.keep(new Map());
    await Promise.all(this.#ended);
  }
}
