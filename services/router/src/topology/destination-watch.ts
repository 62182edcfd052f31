import { isDeepStrictEqual } from "node:util";
import { ClusterConnections, slotsWithoutOwner, type Deployment, type Endpoint } from "@sluice/redis";
import { Halt, printable, Retryable, trustFault, type Actor, type Fault } from "@sluice/runtime";
import { destinationRecord, recordKey, type DestinationRecord } from "@sluice/wire";
import type { RoutedPipeline } from "../routed-pipeline.ts";
import { LOOK_TIMEOUT_MS, type WatchDeps } from "./source-watch.ts";
import { WatchReport } from "./watch-report.ts";

/** Writers follow redirects by themselves: this record is where they begin. */
const LOOK_EVERY_MS = 2_000;

/** Keeps the record of one destination equal to its slot map. A picture that is not whole is left out until it is. */
export class DestinationWatch implements Actor {
  readonly name: string;
  readonly #pipeline: string;
  readonly #group: string;
  readonly #known: RoutedPipeline;
  readonly #deps: WatchDeps;
  readonly #report: WatchReport;
  #nodes: DestinationRecord["nodes"] = [];

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
    const close = (): void => connections.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      while (!signal.aborted && !this.#isDone(endpoint)) {
        const seen = await this.#look(connections, endpoint);
        const missing = slotsWithoutOwner(seen.primaries);
        if (seen.trouble === null && missing === "") await this.#write(seen);
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
      connections.keepOnly([{ host, port }, ...seen.primaries]);
      return seen;
    } catch (cause) {
      const untrusted = trustFault(cause);
      if (untrusted !== null) throw new Halt("DST-020", `${this.name}: ${printable(untrusted)}`, { cause });
      throw new Retryable("DST-001", this.name, "the destination can't be asked for its slots", { cause });
    }
  }

  async #write(seen: Deployment): Promise<void> {
    const stored = this.#stored;
    if (stored !== undefined && stored.value.mode !== seen.mode) {
      throw new Halt("PIP-008", `${this.name} is ${seen.mode} now, and was ${stored.value.mode} when the pipeline was created`);
    }
    this.#nodes = seen.primaries.map(({ host, port, slots }) => ({ host, port, slots }));
    if (isDeepStrictEqual(stored?.value.nodes, this.#nodes)) return;
    const value = { mode: seen.mode, nodes: this.#nodes, at: this.#deps.clock.nowMs() };
    const key = recordKey.destination(this.#pipeline, this.#group);
    const revision = await this.#deps.records.compareAndSet(key, destinationRecord, value, stored?.revision ?? 0);
    if (revision === null) return;
    this.#known.destinations.set(this.#group, { value, revision });
    if (stored !== undefined) {
      this.#deps.log.info(
        { pipeline: this.#pipeline, group: this.#group, nodes: value.nodes },
        "destination has another slot map",
      );
    }
  }
}
