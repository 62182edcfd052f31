import { isDeepStrictEqual } from "node:util";
import { requestCopy } from "@sluice/bus";
import { ClusterConnections, slotsWithoutOwner, type Deployment, type Endpoint } from "@sluice/redis";
import { Halt, printable, Retryable, trustFault, type Actor, type Fault } from "@sluice/runtime";
import {
  destinationRecord,
  epochRecord,
  recordKey,
  shardRecord,
  SlotSet,
  topologyRecord,
  type DestinationRecord,
} from "@sluice/wire";
import type { RoutedPipeline } from "../routed-pipeline.ts";
import { judgeCustody } from "./custody.ts";
import { CustodyLook, type Look } from "./custody-look.ts";
import { LOOK_TIMEOUT_MS, type WatchDeps } from "./source-watch.ts";
import { rangesOf } from "./transfers.ts";
import { WatchReport } from "./watch-report.ts";

/** Writers follow redirects by themselves: this record is where they begin. */
const LOOK_EVERY_MS = 2_000;

/**
 * Keeps the record of one destination equal to its slot map. A picture that is not whole is left out until it is. Where slots were on
 * their way while one of their nodes failed over, the shards whose data they hold are copied anew.
 */
export class DestinationWatch implements Actor {
  readonly name: string;
  readonly #pipeline: string;
  readonly #group: string;
  readonly #known: RoutedPipeline;
  readonly #deps: WatchDeps;
  readonly #report: WatchReport;
  #nodes: DestinationRecord["nodes"] = [];
  #isTold = true;

  /** `known` is kept up to date by the caller, but for our own writes. */
  constructor(pipeline: string, group: string, known: RoutedPipeline, deps: WatchDeps) {
    this.name = `destination ${group} of ${pipeline}`;
    this.#pipeline = pipeline;
    this.#group = group;
    this.#known = known;
    this.#deps = deps;
    this.#report = new WatchReport(pipeline, `destination.${group}`, known.spec?.revision ?? 0, deps);
  }

  async run(signal: AbortSignal, progress: () => void): Promise<void> {
    const spec = this.#known.spec?.value.pipeline.destinations.find(({ group }) => group === this.#group);
    if (spec === undefined) return;
    this.#report.begin(signal);
    const endpoint = this.#deps.open(spec);
    const connections = new ClusterConnections(endpoint, LOOK_TIMEOUT_MS);
    const custody = new CustodyLook(connections, () => this.#look(connections, endpoint));
    const close = (): void => connections.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      while (!signal.aborted && !this.#isDone(endpoint)) {
        const look = await custody.take();
        const { seen } = look;
        const missing = slotsWithoutOwner(seen.primaries);
        if (seen.trouble === null && missing === "") await this.#follow(look);
        else if (this.#stored === undefined) {
          throw new Retryable("DST-011", this.name, seen.trouble ?? `nobody owns the slots ${missing}`);
        }
        progress();
        this.#report.clear();
        await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
      }
      this.#report.clear();
    } finally {
      signal.removeEventListener("abort", close);
      close();
    }
  }

  retrying(fault: Fault, since: number): void {
    this.#report.retrying(fault, since);
  }

  halted(fault: Fault): void {
    this.#report.halted(fault);
  }

  /** A destination that was edited has a record that leads to the former one, until that is seen to be removed. */
  #isDone({ host, port }: Endpoint): boolean {
    const stored = this.#stored?.value;
    return stored?.mode === "standalone" && stored.nodes.some((node) => node.host === host && node.port === port);
  }

  get #stored() {
    return this.#known.destinations.get(this.#group);
  }

  async #look(connections: ClusterConnections, { host, port }: Endpoint): Promise<Deployment> {
    try {
      const seen = await this.#deps.look(connections, [...this.#nodes.slice(0, 2), { host, port }, ...this.#nodes.slice(2, 4)]);
      connections.keepOnly([{ host, port }, ...seen.primaries, ...seen.idle]);
      return seen;
    } catch (cause) {
      const untrusted = trustFault(cause);
      if (untrusted !== null) throw new Halt("DST-020", `${this.name}: ${printable(untrusted)}`, { cause });
      throw new Retryable("DST-001", this.name, "the destination can't be asked for its slots", { cause });
    }
  }

  async #follow({ seen, custody }: Look): Promise<void> {
    const stored = this.#stored;
    if (stored !== undefined && stored.value.mode !== seen.mode) {
      throw new Halt("PIP-008", `${this.name} is ${seen.mode} now, and was ${stored.value.mode} when the pipeline was created`);
    }
    const judged = custody === null ? null : judgeCustody(stored?.value.custody ?? null, custody, this.#deps.clock.nowMs());
    if (judged !== null) await this.#copyAnew(judged.doubtful);
    const isTold = judged !== null || seen.mode === "standalone";
    if (this.#isTold && !isTold)
      this.#deps.log.warn(
        { pipeline: this.#pipeline, group: this.#group },
        "not every node tells its history: torn slots would not be seen",
      );
    this.#isTold = isTold;
    // What is not known now is compared with what was known last when it is again.
    const kept = judged?.next ?? stored?.value.custody;
    const nodes = seen.primaries.map(({ host, port, slots }) => ({ host, port, slots }));
    this.#nodes = nodes;
    await this.#write({ mode: seen.mode, nodes, ...(kept === undefined ? {} : { custody: kept }) });
  }

  /** Before the record is written: who dies in between finds the same slots again. Throws `Retryable` BUS-001. */
  async #copyAnew(doubtful: SlotSet): Promise<void> {
    const { records, clock, log } = this.#deps;
    if (doubtful.size === 0) return;
    const what = `slots ${rangesOf(doubtful)} of destination ${this.#group}`;
    const why = `${what} were on their way between its nodes when one of these began another history`;
    log.warn({ pipeline: this.#pipeline, group: this.#group, slots: doubtful.toString() }, "keys may be lost: copied anew");
    const counter = (await records.get(recordKey.epoch(this.#pipeline), epochRecord))?.value.epoch ?? 0;
    const topology = await records.get(recordKey.topology(this.#pipeline), topologyRecord);
    for (const { id, slots } of topology?.value.shards ?? []) {
      if (doubtful.overlap(SlotSet.parse(slots)) === 0) continue;
      const shard = await records.get(recordKey.shard(this.#pipeline, id), shardRecord);
      await requestCopy(records, this.#pipeline, id, Math.max(counter, shard?.value.epoch ?? 0), why, clock.nowMs());
    }
  }

  async #write(now: Omit<DestinationRecord, "at">): Promise<void> {
    const stored = this.#stored;
    const { at: _, ...before } = stored?.value ?? { at: 0 };
    if (isDeepStrictEqual(before, now)) return;
    const value = { ...now, at: this.#deps.clock.nowMs() };
    const key = recordKey.destination(this.#pipeline, this.#group);
    const revision = await this.#deps.records.compareAndSet(key, destinationRecord, value, stored?.revision ?? 0);
    if (revision === null) return;
    this.#known.destinations.set(this.#group, { value, revision });
    if (stored !== undefined && !isDeepStrictEqual(stored.value.nodes, now.nodes)) {
      this.#deps.log.info(
        { pipeline: this.#pipeline, group: this.#group, nodes: now.nodes },
        "destination has another slot map",
      );
    }
  }
}
