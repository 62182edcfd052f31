import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { Bus, Leases } from "@sluice/bus";
import { encodeCommand } from "@sluice/redis";
import { silentLog, supervise, systemClock, type Clock, type Logger } from "@sluice/runtime";
import { waitUntil } from "@sluice/testkit";
import {
  BatchKind,
  decodeBatch,
  lanesOf,
  liveSubject,
  recordKey,
  shardRecord,
  SlotSet,
  snapSubject,
  topologyRecord,
  type Batch,
  type ShardRecord,
} from "@sluice/wire";
import { CopyGate, type CopyRules } from "../copy-gate.ts";
import type { CopyLimits } from "./copy-throttle.ts";
import { SourceIntake, type IntakeOptions } from "./intake.ts";

const silent = silentLog();

export interface RunningIntake {
  readonly bus: Bus;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export interface RunningIntakeOptions {
  /** Default s0. */
  readonly shard?: string;
  /** Lanes over the slot space; default 1. */
  readonly cut?: number;
  readonly floor?: number;
  readonly clock?: Clock;
  /** Default: a copy begins whenever there must be one. */
  readonly rules?: CopyRules;
  readonly copyLimits?: CopyLimits;
  /** Default primary. */
  readonly read?: IntakeOptions["read"];
  readonly log?: Logger;
}

/** What the router writes before an intake is assigned. */
export async function putTopology(bus: Bus, lanes = 1, floor = 0, ids: readonly string[] = ["s0"]): Promise<void> {
  const shards = ids.map((id) => ({ id, host: "127.0.0.1", port: 1, slots: SlotSet.all().toString(), floor }));
  await bus.records.put(recordKey.topology("p"), topologyRecord, { mode: "standalone", lanes, shards, events: [] });
}

/** An intake of pipeline p. */
export function intakeOf(
  bus: Bus,
  leases: IntakeOptions["leases"],
  port: number,
  instance: string,
  options: RunningIntakeOptions = {},
): SourceIntake {
  const {
    shard = "s0",
    cut = 1,
    floor = 0,
    clock = systemClock,
    rules,
    copyLimits = {},
    log = silent,
    read = "primary",
  } = options;
  return new SourceIntake({
    pipeline: "p",
    shard,
    cut,
    slots: SlotSet.all(),
    floor,
    endpoint: { host: "127.0.0.1", port },
    read,
    ...(rules === undefined ? {} : { gate: new CopyGate(rules, clock) }),
    concurrentFullSyncs: 1,
    copyLimits,
    instance,
    bus,
    leases,
    clock,
    log,
  });
}

/** An intake under its supervisor. */
export async function startIntake(
  url: string,
  port: number,
  instance: string,
  options: RunningIntakeOptions = {},
): Promise<RunningIntake> {
  const { shard = "s0", cut, floor, clock = systemClock } = options;
  const bus = await Bus.connect({ url, name: instance, log: silent });
  await putTopology(bus, cut, floor, [...new Set(["s0", shard])]);
  const leases = new Leases(bus.records, instance, clock, silent);
  const stopping = new AbortController();
  const ended = supervise(intakeOf(bus, leases, port, instance, options), stopping.signal, clock, silent);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
    leases.close();
    await bus.close();
  };
  return { bus, ended, stop };
}

export async function shardOf(bus: Bus, shard = "s0"): Promise<ShardRecord | undefined> {
  return (await bus.records.get(recordKey.shard("p", shard), shardRecord))?.value;
}

/** Waits until it streams and everything up to this offset is stored, the copy included; a real server's own pings may follow it. */
export async function storedUpTo(bus: Bus, offset: number): Promise<ShardRecord> {
  let record: ShardRecord | undefined;
  const isStored = async (): Promise<ShardRecord | null> => {
    record = await shardOf(bus);
    const isThere = record?.phase === "streaming" && record.storedOffset >= offset && (await isCopyStored(bus, record));
    return isThere ? (record ?? null) : null;
  };
  return waitUntil(`all up to ${offset} is stored`, isStored, { details: () => JSON.stringify(record) });
}

/** Every lane that was written to has the end of its copy. */
async function isCopyStored(bus: Bus, { epoch }: ShardRecord): Promise<boolean> {
  const stream = bus.stream("p");
  const cut = (await bus.records.get(recordKey.topology("p"), topologyRecord))?.value.lanes ?? 1;
  for (const lane of lanesOf(SlotSet.all(), cut)) {
    if ((await stream.tail(liveSubject("p", "s0", lane))) === null) continue;
    const snap = await stream.tail(snapSubject("p", 1, "s0", lane));
    const end = snap === null ? null : decodeBatch(snap.payload);
    if (end?.kind !== BatchKind.snapshotEnd || end.epoch !== epoch) return false;
  }
  return true;
}

export interface StoredBatches {
  readonly live: Batch[];
  readonly snap: Batch[];
}

/** Every message of the stream, by what it says it is; of one lane where it is named. */
export async function storedBatches(bus: Bus, lane: number | null = null, cut = 1): Promise<StoredBatches> {
  const stream = bus.stream("p");
  const found: StoredBatches = { live: [], snap: [] };
  const lanes = lane === null ? lanesOf(SlotSet.all(), cut) : [lane];
  for (const [into, subjectOf] of [
    [found.live, (at: number) => liveSubject("p", "s0", at)],
    [found.snap, (at: number) => snapSubject("p", 1, "s0", at)],
  ] as const) {
    for (const at of lanes) {
      const tail = await stream.tail(subjectOf(at));
      if (tail === null) continue;
      const reader = await stream.read(subjectOf(at), 1);
      for (let sequence = 0; sequence < tail.sequence;) {
        const message = await reader.next();
        if (message === null) break;
        sequence = message.sequence;
        into.push(decodeBatch(message.payload));
      }
      await reader.close();
    }
  }
  return found;
}

/** `[epoch, term, replid]` of every fence. */
export function fencesOf(batches: readonly Batch[]): [epoch: number, term: number, replid: string][] {
  return batches.filter(({ kind }) => kind === BatchKind.fence).map(({ epoch, term, replid }) => [epoch, term, replid]);
}

export function sets(from: number, count: number, bytes = 10): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, n) => encodeCommand(["SET", `k${from + n}`, "v".repeat(bytes)])));
}

export function bodyOf(batches: readonly Batch[]): Buffer {
  return Buffer.concat(batches.map(({ body }) => body));
}

/** Lets so many bytes of a primary pass, and the rest once it is opened. */
export class Gate implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #room: number;
  #passedBytes = 0;

  private constructor(target: number, room: number, unknown: string | null) {
    this.#room = room;
    this.#server = createServer((client) => {
      const upstream = connect({ host: "127.0.0.1", port: target });
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => [client, upstream].map((either) => either.destroy()));
      }
      client.on("data", (chunk: Buffer) => upstream.write(unknown === null ? chunk : without(chunk, unknown)));
      upstream.on("data", (chunk: Buffer) => {
        const passed = chunk.subarray(0, this.#room);
        client.write(passed);
        this.#passedBytes += passed.length;
        this.#room = Math.max(0, this.#room - chunk.length);
      });
    });
  }

  /** `unknown`: a word that the primary is made not to know. */
  static async open(target: number, room: number, unknown: string | null = null): Promise<Gate> {
    const gate = new Gate(target, room, unknown);
    await new Promise<void>((resolve) => gate.#server.listen(0, "127.0.0.1", resolve));
    return gate;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Bytes of the primary that were let through. */
  get passedBytes(): number {
    return this.#passedBytes;
  }

  /** True when nothing more passes. */
  get isShut(): boolean {
    return this.#room === 0;
  }

  /** From here on everything passes; on links that lost something meanwhile nothing more is sent. */
  unbound(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#room = Infinity;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.unbound();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function without(chunk: Buffer, word: string): Buffer {
  return Buffer.from(chunk.toString("latin1").replaceAll(word, "?".repeat(word.length)), "latin1");
}
