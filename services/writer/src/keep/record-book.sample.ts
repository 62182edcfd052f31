import type { Records } from "@sluice/bus";
import { systemClock } from "@sluice/runtime";
import { Keeping } from "./keeping.ts";
import type { KeptLimits } from "./kept-keys.ts";

/** Records in memory: what a group's lanes note, without a bus. */
export class RecordBook {
  readonly #values = new Map<string, { value: unknown; revision: number }>();

  /** What one session of a lane keeps. */
  keeping(limits?: KeptLimits): Keeping {
    const records = {
      get: async (key: string) => Promise.resolve(this.#values.get(key) ?? null),
      compareAndSet: async (key: string, _schema: unknown, value: unknown, revision: number) => {
        if ((this.#values.get(key)?.revision ?? 0) !== revision) return Promise.resolve(null);
        this.#values.set(key, { value, revision: revision + 1 });
        return Promise.resolve(revision + 1);
      },
    } as unknown as Records;
    const names = { pipeline: "p", group: "main", label: "main.s0.0" };
    return new Keeping({ ...names, records, clock: systemClock, ...(limits === undefined ? {} : { limits }) });
  }
}
