import { Connection, encodeCommand, infoFields, keySlot } from "@sluice/redis";
import { BatchKind, ChangeFlag, ChangeRows, type Batch, type Position } from "@sluice/wire";
import type { ChangeGroup } from "../lane-destination.ts";
import { KeyRepair, type DivergencePolicy, type KeyRepairOptions } from "./key-repair.ts";
import { runOf, type UnitRun } from "./unit-runs.ts";

interface Written {
  readonly end: number;
  readonly db: number;
  readonly commands: readonly (readonly string[])[];
}

/** What is needed of a real server. */
export interface SourceServer extends AsyncDisposable {
  readonly port: number;
  waitForSync(): Promise<void>;
}

interface Servers<S> {
  start(options?: {
    readonly config?: Readonly<Record<string, string>>;
    readonly replicaOf?: { readonly port: number };
  }): Promise<S>;
}

/** Changes of shard s0 in its first epoch and term, none of which is cut in parts. */
export function wholeBatch(changes: Pick<Batch, "replid" | "previous" | "last" | "rows" | "body">): Batch {
  const head = { kind: BatchKind.changes, shard: "s0", epoch: 1, term: 1, db: 0 };
  return { ...head, part: null, besideCopy: false, ...changes };
}

/** A real source whose commands become the units of a lane, at the offsets that they have in its replication stream. */
export class SourceLane<S extends SourceServer> implements AsyncDisposable {
  readonly server: S;
  readonly #replica: S;
  readonly #connection: Connection;
  #db = 0;
  #written: Written[] = [];
  #offset = 0;
  #sequence = 1;
  replid = "";

  private constructor(server: S, replica: S, connection: Connection) {
    this.server = server;
    this.#replica = replica;
    this.#connection = connection;
  }

  static async start<S extends SourceServer>(servers: Servers<S>): Promise<SourceLane<S>> {
    const server = await servers.start({ config: { "repl-ping-replica-period": "3600" } });
    // Without a replica a primary does not count its stream in bytes.
    const replica = await servers.start({ replicaOf: server });
    await replica.waitForSync();
    const lane = new SourceLane(server, replica, await Connection.open({ host: "127.0.0.1", port: server.port }));
    lane.#offset = await lane.#currentOffset();
    return lane;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Where a lane stands that has applied all groups so far. */
  get position(): Position {
    return { epoch: 1, copy: 1, phase: "live", shard: "s0", offset: this.#offset, sequence: this.#sequence };
  }

  /** Runs one unit: a command, or several as a transaction. */
  async write(...lines: readonly string[]): Promise<void> {
    await this.writeIn(0, ...lines);
  }

  async writeIn(db: number, ...lines: readonly string[]): Promise<void> {
    const commands = lines.map((line) => line.split(" "));
    if (db !== this.#db) await this.#connection.call(["SELECT", db]);
    this.#db = db;
    const sent = commands.length === 1 ? commands : [["MULTI"], ...commands, ["EXEC"]];
    for (const command of sent) await this.#connection.call(command);
    this.#written.push({ end: await this.#currentOffset(), db, commands });
  }

  /** What was written since the last group, up to `units` units, as one batch. */
  group(units = Infinity): ChangeGroup {
    const taken = this.#written.slice(0, units);
    this.#written = this.#written.slice(taken.length);
    const previous = this.#offset;
    const rows = new ChangeRows(1);
    const bodies: Buffer[] = [];
    for (const { end, db, commands } of taken) {
      for (const [index, args] of commands.entries()) {
        const body = encodeCommand(args);
        const edge = (index === 0 ? ChangeFlag.first : 0) | (index === commands.length - 1 ? ChangeFlag.last : 0);
        const isBarrier = /^(flush|swapdb)/i.test(args[0] ?? "");
        const isExpiry = /^(pexpireat|restore)$/i.test(args[0] ?? "") || args.includes("PXAT");
        const flags = edge | (isBarrier ? ChangeFlag.barrier : 0) | (isExpiry ? ChangeFlag.expiry : 0);
        rows.add(body.length, args.length, end - previous, keySlot(Buffer.from(args[1] ?? "")), db, flags, 4);
        bodies.push(body);
      }
    }
    this.#offset = taken.at(-1)?.end ?? previous;
    this.#sequence++;
    const body = Buffer.concat(bodies);
    const batch = wholeBatch({ replid: this.replid, previous, last: this.#offset, rows, body });
    return { slices: [{ slice: { rows, body, from: 0 }, batch, sequence: this.#sequence }], target: this.position };
  }

  /** Key repair from this source; `told`: what was logged and counted. */
  repair(policy: DivergencePolicy, options: Partial<KeyRepairOptions> = {}): { repair: KeyRepair; told: Told } {
    const told: Told = { repairedKeys: 0, skippedErrors: 0, lines: [] };
    const note = (fields: unknown, text: string) => told.lines.push({ text, ...(fields as object) });
    const log = { warn: note, info: note, error: note, debug: note, child: () => log } as unknown as KeyRepairOptions["log"];
    const repair = new KeyRepair({
      policy,
      shard: "s0",
      source: async () => ({ host: "127.0.0.1", port: this.server.port }),
      history: async () => ({ epoch: 1, replid: this.replid, storedOffset: this.#offset }),
      isLifted: false,
      isBySlot: false,
      differing: () => undefined,
      log,
      signal: new AbortController().signal,
      count: (repaired, skipped) => {
        told.repairedKeys += repaired;
        told.skippedErrors += skipped;
      },
      ...options,
    });
    return { repair, told };
  }

  async #currentOffset(): Promise<number> {
    const fields = infoFields(String(await this.#connection.call(["INFO", "replication"])));
    this.replid = fields.get("master_replid") ?? "";
    return Number(fields.get("master_repl_offset"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close();
    await this.#replica[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

export interface Told {
  repairedKeys: number;
  skippedErrors: number;
  readonly lines: { readonly text: string }[];
}

/** The runs of a group, as they are read again for judging. */
export function runsOf({ slices }: ChangeGroup): UnitRun[] {
  return slices.map((slice) => runOf(slice));
}
