import { ManualClock, silentLog } from "@sluice/runtime";
import { recordKey, stateRecord, type PipelineState, type SpecRecord } from "@sluice/wire";
import type { z } from "zod";
import type { DeskDeps } from "./desk-deps.ts";

/** Records in memory, for what commands do to them. */
export class SampleRecords {
  readonly stored = new Map<string, { value: unknown; revision: number }>();
  #revision = 0;
  /** Called before every compare-and-set. */
  meddle: (key: string) => void = () => undefined;

  async get<S extends z.ZodType>(key: string, schema: S): Promise<{ value: z.output<S>; revision: number } | null> {
    const found = this.stored.get(key);
    return Promise.resolve(found === undefined ? null : { value: schema.parse(found.value), revision: found.revision });
  }

  async compareAndSet<S extends z.ZodType>(
    key: string,
    schema: S,
    value: z.input<S>,
    revision: number,
  ): Promise<number | null> {
    this.meddle(key);
    schema.parse(value);
    if ((this.stored.get(key)?.revision ?? 0) !== revision) return Promise.resolve(null);
    return Promise.resolve(this.write(key, value));
  }

  async remove(key: string): Promise<void> {
    this.stored.delete(key);
    return Promise.resolve();
  }

  async removeIf(key: string, revision: number): Promise<void> {
    if (this.stored.get(key)?.revision !== revision) throw new Error("wrong last sequence");
    return this.remove(key);
  }

  /** Called before every list of keys. */
  listing: () => void = () => undefined;

  async keys(filter: string): Promise<string[]> {
    this.listing();
    const prefix = filter.replace(/>$/, "");
    return Promise.resolve([...this.stored.keys()].filter((key) => key.startsWith(prefix)));
  }

  write(key: string, value: unknown): number {
    this.stored.set(key, { value, revision: ++this.#revision });
    return this.#revision;
  }

  /** The spec of pipeline `p` as it is now. */
  get spec(): Omit<SpecRecord, "pipeline"> & { pipeline: Record<string, unknown> } {
    return this.stored.get(recordKey.spec("p"))?.value as never;
  }

  set state(state: PipelineState) {
    this.write(recordKey.state("p"), stateRecord.parse({ state, since: 1, reason: "" }));
  }

  get texts(): string[] {
    const { events } = (this.stored.get(recordKey.events("p"))?.value ?? { events: [] }) as { events: { text: string }[] };
    return events.map(({ text }) => text);
  }
}

/** A desk over records in memory. `removed` gets the names of streams that are removed; `streams` are there. */
export function sampleDesk(records: SampleRecords, removed: string[] = [], streams = new Set<string>()): DeskDeps {
  const streamOf = (name: string) =>
    ({
      size: async () => Promise.resolve(streams.has(name) ? { messages: 1, bytes: 1, limitBytes: null } : null),
      identity: async () => Promise.resolve(streams.has(name) ? "first" : null),
      remove: async () => {
        if (streams.delete(name)) removed.push(name);
        return Promise.resolve();
      },
    }) as never;
  return {
    records: records as never,
    streamOf,
    busFacts: async () => Promise.reject(new Error("not asked")),
    secretKey: Buffer.alloc(32, 7),
    clock: new ManualClock(),
    log: silentLog(),
  };
}
