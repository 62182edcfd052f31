import { ClusterConnections, CommandKind, commandTable, infoFields, type Address, type Endpoint } from "@sluice/redis";
import { describeFault, type Clock, type Logger } from "@sluice/runtime";

const ASK_EVERY_MS = 500;
const ASK_TIMEOUT_MS = 3_000;
/** The clients of a source have stopped when none wrote for so long. */
export const QUIET_MS = 3_000;

/** One look at a source shard. */
export interface WriteSample {
  /** Calls of commands that write, by clients and their scripts, since the server started or its statistics were reset. */
  readonly calls: number;
  /** `master_repl_offset`, asked for behind `calls`: it is not before what they wrote. */
  readonly offset: number;
  /** Of the history that `offset` counts in: `master_replid`, which no other server or start shares; before 4.0 `run_id`. */
  readonly replid: string;
}

/** Whether clients wrote between two samples. Another history, or statistics that were reset, tell nothing of what came before. */
export function hasWritten(before: WriteSample, now: WriteSample): boolean {
  if (now.replid !== before.replid || now.calls < before.calls) return true;
  return now.calls > before.calls && now.offset > before.offset;
}

/**
 * Whether the clients of a source still write, by its own statistics (INFO commandstats). They count what clients ask for and not
 * what the server does by itself: a source whose keys expire one after the other, or that pings its replicas, is quiet. A
 * command that may write and only reads (SORT, PFCOUNT) counts where the stream grew with it.
 */
export class SourceWrites {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #samples = new Map<string, WriteSample>();
  #wroteAtMs: number | null = null;
  #askedAtMs = -Infinity;
  #failure: string | null = "it has not been asked yet";
  #failingSinceMs: number | null = null;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Since the last sign of a write; null while not every shard can be asked. */
  get quietMs(): number | null {
    return this.#failure !== null || this.#wroteAtMs === null ? null : this.#clock.monotonicMs() - this.#wroteAtMs;
  }

  /** Why `quietMs` is null. */
  get failure(): string | null {
    return this.#failure;
  }

  /** For how long in a row it was asked in vain; 0 where the last answer is not in vain. */
  get failingMs(): number {
    return this.#failingSinceMs === null ? 0 : this.#clock.monotonicMs() - this.#failingSinceMs;
  }

  /** Monotonic time at which the round of questions began that `samples` come from. */
  get askedAtMs(): number {
    return this.#askedAtMs;
  }

  /** The newest sample of each shard, by id. */
  get samples(): ReadonlyMap<string, WriteSample> {
    return this.#samples;
  }

  /** Asks all shards again and again until `signal` aborts; never rejects. */
  async run(
    endpoint: Endpoint,
    shards: () => readonly (Address & { readonly id: string })[],
    signal: AbortSignal,
  ): Promise<void> {
    const connections = new ClusterConnections(endpoint, ASK_TIMEOUT_MS);
    while (!signal.aborted) {
      await this.ask(connections, shards());
      await this.#clock.sleep(ASK_EVERY_MS, signal);
    }
    connections.close();
  }

  async ask(connections: ClusterConnections, shards: readonly (Address & { readonly id: string })[]): Promise<void> {
    const askedAtMs = this.#clock.monotonicMs();
    try {
      for (const shard of shards) this.take(shard.id, await sampleOf(connections, shard));
      for (const id of this.#samples.keys()) if (!shards.some((shard) => shard.id === id)) this.#samples.delete(id);
      this.#failure = shards.length === 0 ? "it is not known yet" : null;
      this.#failingSinceMs = null;
      this.#askedAtMs = askedAtMs;
    } catch (cause) {
      const failure = describeFault(cause);
      if (failure !== this.#failure) this.#log.info({ cause: failure }, "source can't be asked whether its clients write");
      this.#failure = failure;
      this.#failingSinceMs ??= askedAtMs;
      this.#wroteAtMs = null;
    }
    this.#wroteAtMs ??= this.#clock.monotonicMs();
  }

  /** Takes the answers of one shard. */
  take(id: string, sample: WriteSample): void {
    const before = this.#samples.get(id);
    this.#samples.set(id, sample);
    if (before === undefined || hasWritten(before, sample)) this.#wroteAtMs = this.#clock.monotonicMs();
  }
}

/** Of the primary: a replica counts what its primary sends it. */
async function sampleOf(connections: ClusterConnections, shard: Address): Promise<WriteSample> {
  const replication = infoFields(await connections.text(shard, ["INFO", "replication"]));
  const [host, port] = [replication.get("master_host"), Number(replication.get("master_port"))];
  const primary = replication.get("role") === "slave" && host !== undefined && port > 0 ? { host, port } : shard;
  const calls = writeCallsIn(await connections.text(primary, ["INFO", "commandstats"]));
  const behind = infoFields(await connections.text(primary, ["INFO", "replication"]));
  const offset = Number(behind.get("master_repl_offset"));
  if (!Number.isSafeInteger(offset)) throw new Error("INFO replication names no master_repl_offset");
  const replid = behind.get("master_replid") ?? infoFields(await connections.text(primary, ["INFO", "server"])).get("run_id");
  if (replid === undefined) throw new Error("INFO names neither master_replid nor run_id");
  return { calls, offset, replid };
}

/** `cmdstat_set:calls=21,usec=…`, from 7.0 also `cmdstat_xgroup|create:…` (Redis server.c, genRedisInfoString). */
export function writeCallsIn(commandstats: string): number {
  let calls = 0;
  for (const [, name, count] of commandstats.matchAll(/^cmdstat_([^:|]+)(?:\|[^:]*)?:calls=(\d+)/gm)) {
    const id = commandTable.idOf((name as string).toUpperCase());
    const kind = id < 0 ? undefined : commandTable.kind[id];
    if (kind === CommandKind.write || kind === CommandKind.barrier) calls += Number(count);
  }
  return calls;
}
