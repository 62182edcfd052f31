import type { Records } from "@sluice/bus";
import { endpointName, infoFields, type Endpoint } from "@sluice/redis";
import { describeFault, Halt, openSecret, type Clock, type Logger } from "@sluice/runtime";
import { memoryRecord, recordKey, type MemoryRecord, type SpecRecord } from "@sluice/wire";
import { controlClient } from "../endpoint/control-client.ts";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { addEvents, type News } from "./event-log.ts";
import type { KnownPipeline } from "./pipeline-book.ts";

const LOOK_EVERY_MS = 10_000;
/** Servers that are asked at a time, and at most. */
const AT_A_TIME = 16;
const MOST_SERVERS = 1_024;
const EMPTY: MemoryRecord = { servers: {}, alarms: [] };

export interface MemoryWatchDeps {
  readonly records: Records;
  readonly secretKey: Buffer | null;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a server of a destination says of its memory. */
export interface MemorySample {
  readonly group: string;
  /** `host:port` */
  readonly server: string;
  readonly runId: string;
  /** Keys since it started. */
  readonly evicted: number;
  readonly policy: string;
}

/**
 * Watches the servers of a pipeline's destinations for evictions: an evicted key is missing there, and no command shows it. A destination
 * that refuses writes for want of memory is no matter of this watch: its lanes wait.
 */
export class MemoryWatch {
  readonly #known: KnownPipeline;
  readonly #deps: MemoryWatchDeps;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;

  /** `known` is kept up to date by the caller. */
  constructor(known: KnownPipeline, deps: MemoryWatchDeps) {
    this.#known = known;
    this.#deps = deps;
  }

  /** To be called at every look; what it begins goes on beside the caller. */
  step(spec: SpecRecord): void {
    const nowMs = this.#deps.clock.monotonicMs();
    const isWanted = (spec.desired === "running" || spec.desired === "paused") && this.#known.topology !== null;
    if (!isWanted || this.#looking !== null || nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return;
    this.#lookedAtMs = nowMs;
    this.#looking = this.#look(spec)
      .catch((cause: unknown) =>
        this.#deps.log.debug({ cause: describeFault(cause) }, "the destinations' memory was not looked at"),
      )
      .finally(() => (this.#looking = null));
  }

  async stop(): Promise<void> {
    await this.#looking;
  }

  async #look(spec: SpecRecord): Promise<void> {
    const { records, clock, log } = this.#deps;
    const servers = this.#servers(spec).slice(0, MOST_SERVERS);
    const samples: MemorySample[] = [];
    for (let at = 0; at < servers.length; at += AT_A_TIME) {
      const asked = await Promise.all(
        servers.slice(at, at + AT_A_TIME).map(async ({ group, endpoint }) => sample(group, endpoint)),
      );
      samples.push(...asked.filter((one) => one !== null));
    }
    const epochs = [...this.#known.shards.values()].map(({ value }) => value.epoch);
    const before = this.#known.memory;
    const present = ofPresent(before?.value ?? EMPTY, spec);
    const { record, news } = behindSamples(present, samples, epochs, clock.nowMs());
    if (JSON.stringify(record) === JSON.stringify(before?.value ?? null)) return;
    const key = recordKey.memory(this.#known.name);
    const revision = await records.compareAndSet(key, memoryRecord, record, before?.revision ?? 0);
    if (revision === null) return;
    this.#known.memory = { value: record, revision };
    for (const { text } of news) log.warn({ pipeline: this.#known.name }, text);
    if (news.length > 0) await addEvents(records, this.#known.name, news, clock.nowMs());
  }

  #servers(spec: SpecRecord): { group: string; endpoint: Endpoint }[] {
    const open = (sealed: string): string => openSecret(sealed, this.#deps.secretKey);
    return spec.pipeline.destinations.flatMap((destination) => {
      const { group } = destination;
      const nodes = this.#known.destinations.get(group)?.value.nodes ?? [];
      try {
        const endpoint = openEndpoint(destination, open);
        return nodes.map(({ host, port }) => ({ group, endpoint: { ...endpoint, host, port } }));
      } catch (cause) {
        // Told by whoever runs the pipeline.
        if (cause instanceof Halt) return [];
        throw cause;
      }
    });
  }
}

/** Without what is known of groups that were taken away. */
function ofPresent({ servers, alarms }: MemoryRecord, { pipeline }: SpecRecord): MemoryRecord {
  const groups = new Set(pipeline.destinations.map(({ group }) => group));
  const own = Object.entries(servers).filter(([, { group }]) => groups.has(group));
  return { servers: Object.fromEntries(own), alarms: alarms.filter(({ group }) => groups.has(group)) };
}

async function sample(group: string, endpoint: Endpoint): Promise<MemorySample | null> {
  const client = controlClient(endpoint, { isLasting: false });
  try {
    await client.connect();
    const fields = infoFields(await client.info());
    const evicted = Number(fields.get("evicted_keys") ?? 0);
    const [runId = "", policy = "unknown"] = [fields.get("run_id"), fields.get("maxmemory_policy")];
    return { group, server: endpointName(endpoint), runId, evicted: Number.isSafeInteger(evicted) ? evicted : 0, policy };
  } catch {
    // One that is away is shown by whoever writes there.
    return null;
  } finally {
    client.disconnect();
  }
}

/** What is known behind `samples`. `epochs`: those that the shards are in. */
export function behindSamples(
  { servers, alarms }: MemoryRecord,
  samples: readonly MemorySample[],
  epochs: readonly number[],
  nowMs: number,
): { record: MemoryRecord; news: News[] } {
  const epoch = Math.max(0, ...epochs);
  const lowest = Math.min(...epochs);
  const open = new Map(alarms.filter((alarm) => !(lowest > alarm.epoch)).map((alarm) => [alarm.server, alarm]));
  const seen: MemoryRecord["servers"] = {};
  const news: News[] = [];
  for (const { group, server, runId, evicted, policy } of samples) {
    const before = servers[server];
    // A server that restarted counts from 0; one that is seen for the first time evicted before anything was written there.
    const lost = before === undefined ? 0 : Math.max(0, before.runId === runId ? evicted - before.evicted : evicted);
    seen[server] = { group, runId, evicted, lost: (before?.lost ?? 0) + lost };
    if (lost === 0) continue;
    const alarm = open.get(server);
    const all = (alarm?.lost ?? 0) + lost;
    const text = `destination ${group}: ${server} has evicted ${all} keys for want of memory (maxmemory-policy ${policy}): they are missing there until a full copy`;
    // Every time that twice as many are lost.
    if (alarm === undefined || Math.floor(Math.log2(all)) > Math.floor(Math.log2(alarm.lost)))
      news.push({ kind: "alarm", text });
    open.set(server, { group, server, since: alarm?.since ?? nowMs, lost: all, epoch, text });
  }
  const kept = Object.fromEntries(Object.entries({ ...servers, ...seen }).slice(-MOST_SERVERS));
  return { record: { servers: kept, alarms: [...open.values()] }, news };
}
