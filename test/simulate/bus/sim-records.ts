import type { RecordChange, Records, Stored, Unwatch } from "@sluice/bus";
import { Retryable } from "@sluice/runtime";
import type { z } from "zod";
import type { SimProcess } from "../world/sim-process.ts";
import type { Broker } from "./broker.ts";

const REQUEST_LIMIT_MS = 5_000;

/** What `Records` promises, kept by the broker of a world. */
export class SimRecords implements Pick<Records, keyof Records> {
  readonly #broker: Broker;
  readonly #owner: SimProcess;
  readonly #watches = new Set<Unwatch>();

  constructor(broker: Broker, owner: SimProcess) {
    this.#broker = broker;
    this.#owner = owner;
  }

  async get<S extends z.ZodType>(key: string, schema: S): Promise<Stored<z.output<S>> | null> {
    const found = await this.#asked(() => ({ answer: this.#broker.records.get(key) ?? null }));
    if (found === null) return null;
    const value = schema.safeParse(JSON.parse(found.value));
    if (!value.success) throw new Error(`record ${key}: ${value.error.message}`);
    return { value: value.data, revision: found.revision };
  }

  async put<S extends z.ZodType>(key: string, _schema: S, value: z.input<S>): Promise<number> {
    const text = JSON.stringify(value);
    return this.#asked(() => ({ answer: this.#broker.write(key, text, null) as number }));
  }

  async compareAndSet<S extends z.ZodType>(
    key: string,
    _schema: S,
    value: z.input<S>,
    revision: number,
  ): Promise<number | null> {
    const text = JSON.stringify(value);
    return this.#asked(() => ({ answer: this.#broker.write(key, text, revision) }));
  }

  async remove(key: string): Promise<void> {
    await this.#asked(() => ({ answer: this.#broker.write(key, null, null) }));
  }

  async removeIf(key: string, revision: number): Promise<void> {
    await this.#asked(() =>
      this.#broker.write(key, null, revision) === null ? { refusal: new Error("wrong last sequence") } : { answer: null },
    );
  }

  async keys(filter: string): Promise<string[]> {
    const matches = filterOf(filter);
    return this.#asked(() => ({ answer: [...this.#broker.records.keys()].filter(matches) }));
  }

  watch(filter: string, changed: (change: RecordChange) => void): Unwatch {
    const broker = this.#broker;
    const matches = filterOf(filter);
    let isEnded = false;
    let toldMs = 0;
    const tell = (key: string): void => {
      toldMs = Math.max(toldMs, broker.scheduler.nowMs + broker.latencyMs());
      const record = broker.records.get(key) ?? null;
      const change = {
        key,
        value: record === null ? null : (JSON.parse(record.value) as unknown),
        revision: record?.revision ?? 0,
      };
      broker.scheduler.at(toldMs, this.#owner, () => {
        if (!isEnded && broker.isUp && !broker.parted.has(this.#owner)) changed(change);
      });
    };
    const tellAll = (): void => {
      if (broker.isUp) for (const key of broker.records.keys()) if (matches(key)) tell(key);
    };
    const forget = [
      broker.onRecord((key) => {
        if (matches(key) && !broker.parted.has(this.#owner)) tell(key);
      }),
      broker.onRestart(this.#owner, tellAll),
    ];
    tellAll();
    const unwatch = (): void => {
      isEnded = true;
      for (const one of forget) one();
      this.#watches.delete(unwatch);
    };
    this.#watches.add(unwatch);
    this.#owner.onEnd(unwatch);
    return unwatch;
  }

  close(): void {
    for (const unwatch of Array.from(this.#watches)) unwatch();
  }

  async #asked<T>(serve: () => { answer: T } | { refusal: Error }): Promise<T> {
    try {
      return await this.#broker.ask(this.#owner, REQUEST_LIMIT_MS, serve);
    } catch (cause) {
      throw new Retryable("BUS-001", "bus", "the records can't be reached", { cause });
    }
  }
}

function filterOf(filter: string): (key: string) => boolean {
  const pattern = filter.replaceAll(".", "\\.").replaceAll("*", "[^.]+").replace(/>$/, ".+");
  const expression = new RegExp(`^${pattern}$`);
  return (key) => expression.test(key);
}
