import type { RecordChange, Records } from "@sluice/bus";
import type { Address, Deployment } from "@sluice/redis";
import { ManualClock, silentLog } from "@sluice/runtime";
import { endpointOf, recordKey } from "@sluice/wire";
import { routedFilters, takeRecord, type RoutedPipeline } from "./routed-pipeline.ts";
import type { WatchDeps } from "./topology/source-watch.ts";

/** Records in memory, of which watches are told at once; but one of them another router has written, and nobody was told yet. */
class RivalRecords {
  /** Of compare-and-sets of the rival's record: the revision named, and whether it was written. */
  readonly tried: [revision: number, isStored: boolean][] = [];
  readonly #held = new Map<string, RecordChange>();
  readonly #watches: { readonly prefix: string[]; readonly changed: (change: RecordChange) => void }[] = [];
  readonly #rivalKey: string;

  /** Watches are told of the rival's `value` when the first compare-and-set of `key` arrives. */
  constructor(key: string, value: unknown) {
    this.#rivalKey = key;
    this.#held.set(key, { key, value, revision: 1 });
  }

  get records(): Records {
    return this as unknown as Records;
  }

  put(key: string, value: unknown): void {
    const change = { key, value, revision: (this.#held.get(key)?.revision ?? 0) + 1 };
    this.#held.set(key, change);
    this.#tell(change);
  }

  value(key: string): unknown {
    return this.#held.get(key)?.value;
  }

  async get(key: string): Promise<RecordChange | null> {
    return Promise.resolve(this.#held.get(key) ?? null);
  }

  async compareAndSet(key: string, _: unknown, value: unknown, revision: number): Promise<number | null> {
    const stored = this.#held.get(key);
    const isStored = revision === (stored?.revision ?? 0);
    if (key === this.#rivalKey) {
      if (stored !== undefined && this.tried.length === 0) this.#tell(stored);
      this.tried.push([revision, isStored]);
    }
    if (isStored) this.put(key, value);
    return Promise.resolve(isStored ? revision + 1 : null);
  }

  watch(filter: string, changed: (change: RecordChange) => void): () => void {
    const prefix = filter.replace(/\.>$/, "").split(".");
    this.#watches.push({ prefix, changed });
    for (const [key, change] of this.#held) if (isOf(prefix, key) && key !== this.#rivalKey) changed(change);
    return () => undefined;
  }

  #tell(change: RecordChange): void {
    for (const { prefix, changed } of this.#watches) if (isOf(prefix, change.key)) changed(change);
  }
}

function isOf(prefix: readonly string[], key: string): boolean {
  const words = key.split(".");
  return prefix.every((word, index) => word === "*" || word === words[index]);
}

/** Pipeline `p` from the server a:1 to the server b:1, both standalone, as one of two routers knows it. */
export function besideRival(key: string, value: unknown) {
  const [clock, held] = [new ManualClock(), new RivalRecords(key, value)];
  const known: RoutedPipeline = { spec: null, state: null, topology: null, assignment: null, destinations: new Map() };
  const pipelines = new Map([["p", known]]);
  for (const filter of routedFilters) held.watch(filter, (change) => takeRecord(pipelines, change));
  const pipeline = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
  held.put(recordKey.spec("p"), { pipeline, desired: "running", createdAt: 1 });
  const deps: WatchDeps = {
    records: held.records,
    clock,
    log: silentLog(),
    open: (spec) =>
      endpointOf(
        spec,
        (password) => password,
        () => "",
      ),
    look: async (_, [seed]) => Promise.resolve(standaloneAt(seed!)),
  };
  return { clock, held, known, deps };
}

function standaloneAt({ host, port }: Address): Deployment {
  const primaries = [{ id: "run", host, port, slots: "0-16383", replicas: [] }];
  return { mode: "standalone", primaries, idle: [], nodeIds: ["run"], movingSlots: [], moves: [], trouble: null };
}
