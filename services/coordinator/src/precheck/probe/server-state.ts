import { infoFields } from "@sluice/redis";

/** What a server says of itself in INFO, with its command statistics. */
export class ServerState {
  readonly #fields: ReadonlyMap<string, string>;

  constructor(text: string) {
    this.#fields = infoFields(text);
  }

  /** Empty where it does not say. */
  text(name: string): string {
    return this.#fields.get(name) ?? "";
  }

  /** Null where it does not say. */
  number(name: string): number | null {
    const text = this.#fields.get(name);
    const value = text === undefined || text === "" ? Number.NaN : Number(text);
    return Number.isFinite(value) ? value : null;
  }

  /** Of Redis, or the one that Valkey is compatible to, as `major * 10000 + minor * 100 + patch`; 0 where it does not say. */
  get version(): number {
    return versionOf(this.text("redis_version"));
  }

  get isValkey(): boolean {
    return this.text("valkey_version") !== "" || this.text("server_name") === "valkey";
  }

  /** As `version`, of Valkey itself; 0 for Redis. */
  get valkeyVersion(): number {
    return versionOf(this.text("valkey_version"));
  }

  /** `Redis 7.0.15`, `Valkey 8.1.1` */
  get product(): string {
    return this.isValkey
      ? `Valkey ${this.text("valkey_version") || "of unknown version"}`
      : `Redis ${this.text("redis_version") || "of unknown version"}`;
  }

  get isCluster(): boolean {
    return this.text("cluster_enabled") === "1";
  }

  get isPrimary(): boolean {
    return this.text("role") === "master";
  }

  get isLoading(): boolean {
    return this.text("loading") === "1";
  }

  /** Bytes of its data without what the process itself takes; before 4.0 all that it has allocated. */
  get dataBytes(): number {
    return this.number("used_memory_dataset") ?? this.number("used_memory") ?? 0;
  }

  /** Database → number of keys, of `db3:keys=12,expires=0,…`. */
  get keyspace(): Map<number, number> {
    const keyspace = new Map<number, number>();
    for (const [name, value] of this.#fields) {
      const db = /^db(\d+)$/.exec(name)?.[1];
      const keys = /^keys=(\d+)/.exec(value)?.[1];
      if (db !== undefined && keys !== undefined) keyspace.set(Number(db), Number(keys));
    }
    return keyspace;
  }

  /** Calls of a command (without its subcommands' own, where the server tells these apart) since the statistics began. */
  get calls(): Map<string, number> {
    const calls = new Map<string, number>();
    for (const [name, value] of this.#fields) {
      if (!name.startsWith("cmdstat_")) continue;
      const count = Number(/^calls=(\d+)/.exec(value)?.[1] ?? 0);
      const command = (name.slice("cmdstat_".length).split("|")[0] ?? "").toUpperCase();
      if (count > 0) calls.set(command, (calls.get(command) ?? 0) + count);
    }
    return calls;
  }

  /** Replicas that are servers: who only poses as one announces port 0. */
  get replicas(): number {
    let count = 0;
    for (const [name, value] of this.#fields) {
      if (/^slave\d+$/.test(name) && !/(^|,)port=0(,|$)/.test(value)) count++;
    }
    return count;
  }
}

/** `7.0.15` → 70015; 0 for what is no version. */
export function versionOf(text: string): number {
  const [major = 0, minor = 0, patch = 0] = (/^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [])
    .slice(1)
    .map((part) => Number(part ?? 0));
  return major * 10_000 + minor * 100 + patch;
}
