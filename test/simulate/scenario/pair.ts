import {
  epochRecord,
  expiryGraceMs,
  expiryWithGrace,
  laneOf,
  laneRecord,
  pipelineSchema,
  recordKey,
  shardRecord,
  SLOT_COUNT,
  SlotSet,
  topologyRecord,
  type TopologyRecord,
} from "@sluice/wire";
import type { z } from "zod";
import { dataOf, slotOf, type MarkWatch, type MarkWatchOptions } from "../oracle/mark-watch.ts";
import { heldBy } from "../oracle/value-text.ts";
import { keyOf, nameOf, VersionBook } from "../oracle/version-book.ts";
import type { SimServer } from "../redis/sim-server.ts";
import type { SlotMove } from "../redis/slot-move.ts";
import type { Dice } from "../world/dice.ts";
import { EPOCH_MS } from "../world/scheduler.ts";
import type { World } from "../world/world.ts";
import type { Plan } from "./plan.ts";
import { Side } from "./side.ts";
import { Workload, type Step } from "./workload.ts";

const PIPELINE = "orders";
const GROUP = "main";

/** The pipeline of a world: its source with all that it ever held, its destination, and what the records say of it. */
export class Pair {
  readonly source: Side;
  readonly destination: Side;
  readonly databases: number;
  readonly #world: World;
  readonly #spec: object;
  readonly #graceMs: number;
  readonly #bookOf = new Map<SimServer, VersionBook>();
  readonly #books: VersionBook[] = [];
  /** Slots of the destination that went, or are on their way, from one server to another. */
  readonly #moves: SlotMove[] = [];
  #watch: MarkWatch | null = null;
  #watched: (look: () => void) => void = () => undefined;

  constructor(world: World, { layout, lanes }: Plan) {
    const [source, destination] = layout.split(" to ") as [string, string];
    this.#world = world;
    this.source = new Side(world, "source", source === "cluster");
    this.destination = new Side(world, "destination", destination === "cluster");
    this.databases = this.source.cluster === null && this.destination.cluster === null ? 2 : 1;
    this.#spec = {
      name: PIPELINE,
      source: { url: this.source.url },
      destinations: [{ url: this.destination.url, existing: "replace" }],
      lanes,
    };
    this.#graceMs = expiryGraceMs(pipelineSchema.parse(this.#spec));
  }

  get watchOptions(): MarkWatchOptions {
    return {
      pipeline: PIPELINE,
      group: GROUP,
      inCluster: this.destination.cluster !== null,
      books: () => this.#books,
      shift: (expireAtMs) => expiryWithGrace(expireAtMs, this.#graceMs),
      isOfLane: (shard, lane, slot) => this.#isOfLane(shard, lane, slot),
      isVoid: (shard, epoch) => epoch <= (this.#shard(shard)?.floor ?? 0),
      floorOf: (shard) => this.#shard(shard)?.floor ?? 0,
    };
  }

  /** Writes down what the source's servers do, and has `watch` see what the destination's do. */
  observe(watch: MarkWatch, watched: (look: () => void) => void): void {
    this.#watch = watch;
    this.#watched = watched;
    for (const server of this.source.primaries) this.#follow(server, new VersionBook());
    for (const server of this.destination.primaries) this.#lookAt(server);
  }

  #follow(server: SimServer, book: VersionBook): void {
    this.#bookOf.set(server, book);
    this.#books.push(book);
    server.onUnit = (offset, written) =>
      book.add(offset, new Map(written.map((key) => [nameOf(key), heldBy(server, key.db, key.key)])));
  }

  #lookAt(server: SimServer): void {
    server.onUnit = (_, written) => this.#watched(() => this.#watch?.see(server, written));
  }

  preload(keys: number): void {
    for (let index = 0; index < keys; index++) {
      const key = `kept:{t${index % 7}}:${index}`;
      this.source.ownerOf(key).call(index % 3 === 0 ? ["RPUSH", key, "a", `b${index}`] : ["SET", key, `value ${index}`]);
    }
    // What stood there before must be gone behind the copy.
    if (keys % 2 === 0) return;
    for (const server of this.destination.primaries) server.onUnit = null;
    for (let index = 0; index < 5; index++) {
      const key = `list:{t${index}}:1`;
      this.destination.ownerOf(key).call(["RPUSH", key, "stale", "list"]);
    }
    for (const server of this.destination.primaries) this.#lookAt(server);
  }

  execute(step: Step): void {
    const server = this.source.ownerOf(step.key);
    if (server.isUp) run(server, step);
  }

  writeSpec(): void {
    const record = { pipeline: this.#spec, desired: "running", createdAt: EPOCH_MS };
    this.#world.broker.write(recordKey.spec(PIPELINE), JSON.stringify(record), null);
  }

  /** `split`: the former primary goes on for those who have not noticed. */
  failSourceOver(dice: Dice, split: boolean): string {
    const former = dice.pick(this.source.primaries);
    const book = this.#bookOf.get(former) as VersionBook;
    const { server, lost, heal } = this.source.failOver(former, dice, split);
    this.#follow(server, book.branch(server.log.offset));
    if (split) this.#keepWriting(former, dice, heal);
    else this.#world.scheduler.after(dice.between(1, 2_000), null, heal);
    return `${former.name}, ${lost} bytes lost`;
  }

  /** With all that it held, and another history, as every server that starts. */
  restartSource(server: SimServer): void {
    server.onUnit = null;
    server.restart("same");
    const book = new VersionBook();
    book.add(0, new Map(dataOf(server).map((key) => [nameOf(key), heldBy(server, key.db, key.key)])));
    this.#follow(server, book);
  }

  /** Clients that have not noticed go on with the former primary for a while. */
  #keepWriting(former: SimServer, dice: Dice, heal: () => void): void {
    const workload = new Workload(dice.fork(), this.databases);
    const { scheduler, clock } = this.#world;
    let left = dice.between(5, 40);
    const write = (): void => {
      if (left-- <= 0) return heal();
      const step = workload.next(clock.nowMs());
      if (this.source.cluster === null || this.source.cluster.ownerOf(slotOf(step.key), former) === former) run(former, step);
      scheduler.after(dice.between(1, 100), null, write);
    };
    write();
  }

  /** A primary of the destination is replaced by a replica that lacks some of what was acknowledged. */
  failDestinationOver(dice: Dice): string {
    const former = dice.pick(this.destination.primaries);
    former.onUnit = null;
    const { server, lost, heal } = this.destination.failOver(former, dice, false);
    // It may lack what had arrived, and hold what had left.
    const torn = this.#moves.filter(({ from, to, arrived }) =>
      arrived === null ? from === former || to === former : to === former && server.log.offset < arrived,
    );
    this.#watch?.doubt(
      torn.map(({ slot }) => slot),
      this.epoch,
    );
    this.#world.scheduler.after(dice.between(1, 2_000), null, heal);
    this.#lookAt(server);
    this.#watch?.forget(this.destination.primaries);
    return `${former.name}, ${lost} bytes lost`;
  }

  /** Somebody took from a destination what it held. */
  destinationLost(server: SimServer, lose: () => void): void {
    server.onUnit = null;
    lose();
    this.#lookAt(server);
    this.#watch?.forget(this.destination.primaries);
  }

  /** Moves some slots of a cluster from one primary to another, a few keys at a time. */
  moveSlots(side: Side, dice: Dice, forMs: number): string {
    const { cluster, primaries } = side;
    const from = dice.pick(primaries);
    const to = primaries.find((server) => server !== from);
    if (cluster === null || to === undefined) return "no cluster";
    // Those that hold something, and marks among it, are what matters; there are few of them.
    const held = new Set(Array.from(from.entries().keys(), slotOf));
    const slots = new Set(Array.from({ length: dice.between(1, 6) }, () => dice.pick([...held, SLOT_COUNT - 1])));
    const { migrating } = cluster.movingSlots(from);
    const own = [...slots].filter((slot) => cluster.ownerOf(slot) === from && !migrating.has(slot));
    const { scheduler } = this.#world;
    for (const slot of own) {
      const move = cluster.moveSlot(slot, to);
      if (side === this.destination) this.#moves.push(move);
      const step = (): void => {
        const isDone = this.#unwatched(side, () => move.migrate(dice.between(1, 2)) === 0 && move.isPossible);
        if (isDone && scheduler.nowMs >= endMs) this.#unwatched(side, () => move.finish());
        else scheduler.after(dice.between(5, 60), null, step);
      };
      const endMs = scheduler.nowMs + dice.roll() * forMs;
      step();
    }
    return `${own.length} from ${from.name} to ${to.name}`;
  }

  /** What a destination does among its own servers is nobody's unit. */
  #unwatched<T>(side: Side, act: () => T): T {
    if (side === this.source) return act();
    const watches = side.primaries.map((server) => [server, server.onUnit] as const);
    for (const [server] of watches) server.onUnit = null;
    try {
      return act();
    } finally {
      for (const [server, watch] of watches) server.onUnit = watch;
    }
  }

  get epoch(): number {
    return this.#record(recordKey.epoch(PIPELINE), epochRecord)?.epoch ?? 0;
  }

  /** Lanes that are not live yet, as their records say. */
  unfinished(): string[] {
    const lanes = this.#records(`pipeline.${PIPELINE}.lane.`, laneRecord);
    if (lanes.size === 0) return ["no lane has begun"];
    return [...lanes].flatMap(([key, { phase, epoch }]) =>
      phase === "live" ? [] : [`${key} is in phase ${phase} of epoch ${epoch}`],
    );
  }

  /** What the records say of halts and of what is waited for. */
  troubles(): string[] {
    const records = [
      ...this.#records(`pipeline.${PIPELINE}.lane.`, laneRecord),
      ...this.#records(`pipeline.${PIPELINE}.shard.`, shardRecord),
    ];
    return records.flatMap(([key, { halt, retry }]) => [
      ...(halt === null ? [] : [`${key} halted: ${halt.code} ${halt.message}`]),
      ...(retry === null ? [] : [`${key} waits: ${retry.reason}`]),
    ]);
  }

  #shard(shard: string): TopologyRecord["shards"][number] | undefined {
    return this.#record(recordKey.topology(PIPELINE), topologyRecord)?.shards.find(({ id }) => id === shard);
  }

  #isOfLane(shard: string, lane: number, slot: number): boolean {
    const topology = this.#record(recordKey.topology(PIPELINE), topologyRecord);
    const own = this.#shard(shard);
    return own !== undefined && slotsOf(own).has(slot) && laneOf(slot, (topology as TopologyRecord).lanes) === lane;
  }

  #record<S extends z.ZodType>(key: string, schema: S): z.output<S> | null {
    const found = this.#world.broker.records.get(key);
    return found === undefined ? null : parsedOnce(found, schema);
  }

  #records<S extends z.ZodType>(prefix: string, schema: S): Map<string, z.output<S>> {
    const found = new Map<string, z.output<S>>();
    for (const [key, record] of this.#world.broker.records) {
      if (key.startsWith(prefix)) found.set(key.slice(prefix.length), parsedOnce(record, schema));
    }
    return found;
  }
}

function run(server: SimServer, { db, commands }: Step): void {
  const [only] = commands;
  server.call(["SELECT", db]);
  if (commands.length === 1 && only !== undefined) server.call(only);
  else {
    server.call(["MULTI"]);
    for (const command of commands) server.call(command);
    server.call(["EXEC"]);
  }
}

/** A record is never changed but replaced, and one key has one schema: what it says is found once, however often it is asked for. */
const parsedRecords = new WeakMap<object, unknown>();

function parsedOnce<S extends z.ZodType>(record: { readonly value: string }, schema: S): z.output<S> {
  const known = parsedRecords.get(record);
  if (known !== undefined) return known as z.output<S>;
  const value = schema.parse(JSON.parse(record.value));
  parsedRecords.set(record, value);
  return value;
}

const parsedSlots = new Map<string, SlotSet>();

function slotsOf({ slots }: { readonly slots: string }): SlotSet {
  const known = parsedSlots.get(slots) ?? SlotSet.parse(slots);
  parsedSlots.set(slots, known);
  return known;
}

/** Where source and destination differ now, key by key. */
export function differences({ source, destination, watchOptions }: Pair): string[] {
  const found: string[] = [];
  const names = new Set<string>();
  for (const server of [...source.primaries, ...destination.primaries]) {
    if (!server.isUp) return [`${server.name} is down`];
    for (const key of dataOf(server)) names.add(nameOf(key));
  }
  for (const name of names) {
    const { db, key } = keyOf(name);
    const wanted = heldBy(source.ownerOf(key), db, key);
    const held = heldBy(destination.ownerOf(key), db, key);
    const expireAtMs = wanted.expireAtMs < 0 ? -1 : watchOptions.shift(wanted.expireAtMs);
    if (wanted.value !== held.value) found.push(`${name}: source ${brief(wanted.value)}, destination ${brief(held.value)}`);
    else if (held.expireAtMs !== expireAtMs) found.push(`${name}: expires at ${held.expireAtMs}, expected ${expireAtMs}`);
  }
  return found;
}

function brief(value: string | null): string {
  return value === null ? "nothing" : value.slice(0, 120);
}
