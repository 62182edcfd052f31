import type { Clock } from "@sluice/runtime";
import { RedisCluster, RedisServer } from "@sluice/testkit";
import type { SlotSet } from "@sluice/wire";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { ReplyTamperer, type Tamper } from "../apply/reply-tamperer.sample.ts";
import type { Keeping } from "../keep/keeping.ts";
import type { KeyRepair } from "../repair/key-repair.ts";
import { SourceLane } from "../repair/source-lane.sample.ts";
import { formsOptions } from "../snapshot/value-forms.sample.ts";
import { ClusterLane } from "./cluster-lane.ts";

const signal = new AbortController().signal;
/** What it fails with; null where it does not. */
export const faultOf = async (done: Promise<unknown>): Promise<unknown> =>
  done.then(
    () => null,
    (cause: unknown) => cause,
  );

/** A destination of two nodes whose replies can be replaced, and a source, for many tests one after the other. */
export class TamperedCluster implements AsyncDisposable {
  readonly nodes: RedisCluster;
  readonly source: SourceLane<RedisServer>;
  readonly #tamperers: readonly ReplyTamperer[];
  readonly #slots: SlotSet;
  readonly #shift: (expireAtMs: number) => number;
  /** What the lanes' clock shows: it stands still, and waits are not worth waiting for here. */
  monotonicMs = 0;
  readonly #clock: Clock = {
    nowMs: () => Date.now(),
    monotonicMs: () => this.monotonicMs,
    sleep: async () => new Promise((resolve) => setImmediate(resolve)),
  };

  private constructor(
    nodes: RedisCluster,
    source: SourceLane<RedisServer>,
    tamperers: readonly ReplyTamperer[],
    slots: SlotSet,
    shift: (expireAtMs: number) => number,
  ) {
    this.nodes = nodes;
    this.source = source;
    this.#tamperers = tamperers;
    this.#slots = slots;
    this.#shift = shift;
  }

  /** `slots`: of the lanes that are opened in it; `shift`: what they make of expiries. */
  /** One for all tests of a file, as `reset` leaves it before each; `begun` gets it before the first of them. */
  static forThisFile(
    slots: SlotSet,
    begun: (destination: TamperedCluster) => void,
    shift: (expireAtMs: number) => number = (ms) => ms,
  ): void {
    let destination: TamperedCluster | null = null;
    beforeAll(async () => {
      destination = await TamperedCluster.start(slots, shift);
      begun(destination);
    });
    afterAll(async () => destination?.[Symbol.asyncDispose]());
    beforeEach(async () => destination?.reset());
  }

  static async start(slots: SlotSet, shift: (expireAtMs: number) => number): Promise<TamperedCluster> {
    const [nodes, source] = await Promise.all([RedisCluster.start({ primaries: 2 }), SourceLane.start(RedisServer)]);
    const tamperers = await Promise.all(nodes.nodes.map(async ({ port }) => ReplyTamperer.start(port)));
    for (const each of tamperers)
      for (const other of tamperers) for (const [real, ours] of other.ports) each.ports.set(real, ours);
    return new TamperedCluster(nodes, source, tamperers, slots, shift);
  }

  /** Empty again, nothing replaced, and a source that has written one key. */
  async reset(): Promise<void> {
    this.tamperWith(() => null);
    await this.source.server.client().flushall();
    await this.source.write("SET start 1");
    this.source.group();
    for (const node of this.nodes.nodes) await node.client().flushall();
  }

  /** Ports by which the nodes are reached, in their order. */
  get ports(): readonly number[] {
    return this.#tamperers.map(({ port }) => port);
  }

  tamperWith(tamper: Tamper): void {
    for (const each of this.#tamperers) each.tamper = tamper;
  }

  /** `keeping`: with `existing: keep`. */
  async open(repair: KeyRepair, keeping?: Keeping, left: Parameters<typeof formsOptions>[1] = {}): Promise<ClusterLane> {
    const seeds = this.ports.map((port) => ({ name: `127.0.0.1:${port}`, host: "127.0.0.1", port }));
    const names = { pipeline: "p", group: "main", shard: "s0", lane: 0, label: "main.s0.0" };
    const endpoint = { host: "127.0.0.1", port: seeds[0]?.port ?? 0 };
    const [slots, shift, clock] = [this.#slots, this.#shift, this.#clock];
    const kept = keeping === undefined ? {} : { keeping };
    const values = formsOptions(shift, left);
    return ClusterLane.open({ ...names, endpoint, seeds, slots, shift, values, repair, ...kept, clock, signal });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#tamperers) await each[Symbol.asyncDispose]();
    await Promise.all([this.nodes[Symbol.asyncDispose](), this.source[Symbol.asyncDispose]()]);
  }
}
