import { Leases, type Bus, type LaneStream } from "@sluice/bus";
import { slotTag } from "@sluice/redis";
import { silentLog, supervise, systemClock } from "@sluice/runtime";
import {
  laneMarkKey,
  laneRecord,
  recordKey,
  topologyRecord,
  type Addition,
  type DestinationRecord,
  type DestinationSpec,
} from "@sluice/wire";
import { LaneWriter } from "./lane-writer.ts";
import type { Projection } from "./project/projection.ts";
import { ScriptedLane } from "./scripted-lane.sample.ts";

const slots = "0-16383";
let count = 0;

/** A lane whose writer is supervised, as in the service: it ends and begins again by itself. */
export class WatchedLane extends ScriptedLane implements AsyncDisposable {
  readonly stream: LaneStream;
  readonly markKey = laneMarkKey(slotTag(0), this.pipeline, "main", "s0", 0);
  /** What writers that begin from now on give their group; everything while undefined. */
  projection: Projection | undefined;
  /** Whether writers that begin from now on are those of a pipeline of changes alone. */
  isCopyless = false;
  existing: DestinationSpec["existing"] = "refuse";
  /** What becomes of what the destination can't hold. */
  unsupported: DestinationSpec["unsupported"] = "halt";
  /** What those writers do where a command can't be run as it is, and the source that they may ask. */
  divergence: { readonly policy: "halt" | "repair" | "skip"; readonly source: { host: string; port: number } } | undefined;
  /** How the group of writers that begin from now on came to the pipeline. */
  addition: Addition | undefined;
  /** What was logged as a warning. */
  readonly warnings: string[] = [];
  #stop = new AbortController();
  readonly #bus: Bus;
  readonly #leases: Leases;
  #ended: Promise<void> = Promise.resolve();
  #writers = 0;

  private constructor(bus: Bus, pipeline: string) {
    super(bus, pipeline);
    this.#bus = bus;
    this.stream = bus.stream(pipeline);
    this.#leases = new Leases(bus.records, pipeline, systemClock, silentLog());
  }

  /** A lane that is live at offset 100, with an empty copy unless `fill` gives it one. */
  static async open(bus: Bus, fill?: (lane: WatchedLane) => Promise<void>): Promise<WatchedLane> {
    const lane = new WatchedLane(bus, `watched-${++count}`);
    await lane.stream.ensure();
    const shards = [{ id: "s0", host: "h", port: 1, slots, floor: 0 }];
    const topology = { mode: "standalone" as const, lanes: 1, shards, events: [] };
    await bus.records.put(recordKey.topology(lane.pipeline), topologyRecord, topology);
    if (fill === undefined) await lane.live();
    else await fill(lane);
    return lane;
  }

  /** Starts a writer into the server on `port`, or into its cluster, as `user`, with the floor that the topology had when it was made. */
  write(mode: DestinationRecord["mode"], port: number, user?: { user: string; password: string }, floor = 0): void {
    const endpoint = { host: "127.0.0.1", port, ...user };
    const shards = [{ id: "s0", host: "h", port: 1, slots, floor }];
    const log = Object.assign(silentLog(), { warn: (_: unknown, text: string) => this.warnings.push(text) });
    const writer = new LaneWriter({
      pipeline: this.pipeline,
      group: "main",
      shard: "s0",
      lane: 0,
      endpoint,
      existing: this.existing,
      unsupported: this.unsupported,
      ...(this.divergence === undefined ? {} : { divergence: this.divergence }),
      isCopyless: this.isCopyless,
      ...(this.addition === undefined ? {} : { addition: this.addition }),
      ...(this.projection === undefined ? {} : { projection: this.projection }),
      shift: (ms) => ms,
      destination: { mode, nodes: [{ host: "127.0.0.1", port, slots }], at: 0 },
      topology: { mode: "standalone", lanes: 1, shards, events: [] },
      instance: `w${this.#writers++}`,
      bus: this.#bus,
      leases: this.#leases,
      clock: systemClock,
      log,
    });
    this.#ended = supervise(writer, this.#stop.signal, systemClock, log);
  }

  /** Ends the writer, as a new topology does. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    this.#stop = new AbortController();
  }

  /** Resolves when the writer has ended by itself. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  async record() {
    return (await this.#bus.records.get(recordKey.lane(this.pipeline, "main.s0.0"), laneRecord))?.value ?? null;
  }

  /** The floor that the shard has in the topology's record: above 0 once a copy was asked for. */
  async floorAsked(): Promise<number> {
    const topology = await this.#bus.records.get(recordKey.topology(this.pipeline), topologyRecord);
    return topology?.value.shards[0]?.floor ?? -1;
  }

  /** Whether the lane's record says that it is live there. */
  async isAt(offset: number): Promise<boolean> {
    const record = await this.record();
    return record?.phase === "live" && record.offset === offset;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    this.#leases.close();
  }
}
