import { Meters, silentLog, systemClock, type Clock } from "@sluice/runtime";
import { recordKey } from "@sluice/wire";
import type { SourceView } from "../checkpoint/lane-lag.ts";
import { PipelineBook } from "../lifecycle/pipeline-book.ts";
import { createApi, type ApiDeps } from "./api-server.ts";

type Stored = { value: unknown; revision: number };

/** A coordinator in memory for tests: records that are told to its book at once, streams that are empty, and a switch for standing by. */
export class ApiDesk {
  readonly book = new PipelineBook();
  readonly #stored = new Map<string, Stored>();
  #revision = 0;
  isActive = true;

  put(key: string, value: unknown): number {
    const revision = ++this.#revision;
    this.#stored.set(key, { value, revision });
    this.book.take({ key, value, revision });
    return revision;
  }

  value(key: string): unknown {
    return this.#stored.get(key)?.value;
  }

  /** `settings`: token and TLS; without them there is neither. */
  api(settings: ApiDeps["settings"] = { token: null, tls: null }, clock: Clock = systemClock) {
    return createApi({ ...this.#deps(clock), settings });
  }

  #deps(clock: Clock): ApiDeps {
    const records = {
      get: async (key: string) => this.#stored.get(key) ?? null,
      put: async (key: string, _: unknown, value: unknown) => this.put(key, value),
      compareAndSet: async (key: string, _: unknown, value: unknown, revision: number) =>
        (this.#stored.get(key)?.revision ?? 0) === revision ? this.put(key, value) : null,
      remove: async (key: string) => void this.#stored.delete(key),
      removeIf: async (key: string) => void this.#stored.delete(key),
      keys: async (filter: string) => [...this.#stored.keys()].filter((key) => key.startsWith(filter.replace(/>$/, ""))),
    };
    const meters = new Meters();
    meters.add({ collect: (page) => page.set("sluice_bus_up", { service: "coordinator" }, 1) });
    return {
      records: records as never,
      streamOf: (name) => {
        const size = { messages: 3, bytes: 400, limitBytes: 1_000 };
        const isThere = (): boolean => this.#stored.has(recordKey.spec(name));
        return { size: async () => (isThere() ? size : null), identity: async () => (isThere() ? "first" : null) } as never;
      },
      busFacts: async () => Promise.reject(new Error("not asked")),
      secretKey: Buffer.alloc(32, 7),
      clock,
      log: silentLog(),
      meters,
      active: () => (this.isActive ? { book: this.book, sourcesOf: () => new Map<string, SourceView>() } : null),
    };
  }
}

export const FILE = { name: "p", source: { url: "redis://a:1" }, destinations: [{ url: "redis://b:1" }] };
