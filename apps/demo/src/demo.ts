import {
  ApiClient,
  DrainWatch,
  formatCount,
  formatMs,
  formatSeconds,
  laneName,
  OperatorError,
  bar,
  pipelineFigures,
  shardCopies,
  Screen,
} from "@sluice/cli";
import { compareDeployments, preload, RedisCluster, verifyCounters, Workload, type Comparison } from "@sluice/testkit";
import { expiryWithGrace, type PipelineStatus } from "@sluice/wire";
import type { DemoOptions } from "./demo-options.ts";

import type { Figures } from "./figures.ts";
import { Follower } from "./follower.ts";
import { busiestWriter, holdersOf } from "./lane-holders.ts";
import { Probe } from "./probe.ts";
import { probeKeys } from "./probe-keys.ts";
import { SluiceRun } from "./sluice-run.ts";
import { targetOf } from "./layout.ts";
import { PIPELINE, type Stage } from "./stage.ts";
import { verdict } from "./verdict.ts";

const COPY_LIMIT_MS = 120_000;
const DRAIN_LIMIT_MS = 60_000;
const RECOVERY_LIMIT_MS = 60_000;
const PROBE_INTERVAL_MS = 100;
const WRITERS = 2;

/** How the demo ended: `faults` is empty where destination and replicas are identical. */
export interface DemoResult {
  readonly figures: Figures;
  readonly faults: readonly string[];
}

interface Killed {
  readonly instance: string;
  /** Names of the lanes that it had. */
  readonly lanes: ReadonlySet<string>;
  readonly recoverySeconds: number;
}

/** The acts of the demo, in their order. */
export class Demo {
  readonly #options: DemoOptions;
  readonly #stage: Stage;
  readonly #screen: Screen;
  readonly #signal: AbortSignal;
  readonly #load: Workload;
  readonly #probe: Probe;
  #run: SluiceRun | null = null;
  #api: ApiClient | null = null;

  constructor(options: DemoOptions, stage: Stage, screen: Screen, signal: AbortSignal) {
    this.#options = options;
    this.#stage = stage;
    this.#screen = screen;
    this.#signal = signal;
    const { seed, rate } = options;
    const { deployment, databases, slots } = stage.source;
    const place = deployment instanceof RedisCluster ? { cluster: true, urls: deployment.urls } : {};
    this.#load = new Workload({ url: deployment.url, ...place, seed, ratePerSecond: rate, databases });
    this.#probe = new Probe(deployment.client(), stage.destination.deployment.client(), probeKeys(slots, stage.lanes));
  }

  async perform(): Promise<DemoResult> {
    await this.#fill();
    const run = (this.#run = new SluiceRun(this.#stage, ["--writers", String(WRITERS), "--ingests", "1"]));
    this.#screen.update("starting", `./sluice run demo.yaml --writers ${WRITERS}`);
    const api = (this.#api = new ApiClient(await run.apiAddress(this.#signal)));
    const follower = new Follower(api, this.#screen, () => run.check());
    const copied = await this.#copy(follower);
    const killed = await this.#live(follower, api, run);
    const drained = await this.#drain(follower);
    const compared = await this.#compare(drained.status.expiryGraceMs);
    const load = this.#load.report();
    const wrong = await verifyCounters(targetOf(this.#stage.destination), load);
    const figures: Figures = {
      copiedKeys: copied.keys,
      copySeconds: copied.seconds,
      commands: load.commands,
      loadSeconds: load.seconds,
      delayMs: this.#probe.medianMs,
      probes: this.#probe.count,
      peakLagSeconds: follower.peakLagSeconds,
      peakLagBytes: follower.peakLagBytes,
      killed: killed.instance,
      killedLanes: killed.lanes.size,
      lanes: drained.status.lanes.length,
      recoverySeconds: killed.recoverySeconds,
      successor: holdersOf(drained.status.lanes.filter((lane) => killed.lanes.has(laneName(lane)))),
      drainMs: drained.ms,
      streamBytes: drained.status.stream.bytes,
      comparedKeys: compared.comparison.keys,
      compareSeconds: compared.seconds,
      counters: load.counters.length,
    };
    return { figures, faults: verdict(compared.comparison, wrong, load) };
  }

  /** Goes on with the load and shows the pipeline until it is interrupted. */
  async linger(): Promise<void> {
    const [api, run] = [this.#api, this.#run];
    if (api === null || run === null) return;
    await this.#load.start();
    const follower = new Follower(api, this.#screen, () => run.check());
    await follower.during(Number.MAX_SAFE_INTEGER, this.#signal);
  }

  /** Ends the load and `sluice run`: `gently` as Ctrl-C does, else at once. */
  async end(gently: boolean): Promise<void> {
    await this.#load.stop();
    if (gently) await this.#run?.stop();
    else await this.#run?.quit();
  }

  async #fill(): Promise<void> {
    const { keys, seed, rate } = this.#options;
    const { source } = this.#stage;
    const where = source.databases.length === 1 ? "" : ` in databases ${source.databases.join(" and ")}`;
    const what = `${formatCount(keys)} keys of every type${where}`;
    this.#screen.update("filling", `writing ${what}`);
    const { seconds } = await preload(targetOf(source), { keys, seed, databases: source.databases });
    await this.#load.start();
    this.#screen.clear();
    this.#screen.print(`source filled: ${what}, in ${formatSeconds(seconds)}`);
    this.#screen.print(`load started: ${formatCount(rate)} commands/s`);
  }

  async #copy(follower: Follower): Promise<{ keys: number; seconds: number }> {
    let sinceMs: number | null = null;
    const isCopied = (status: PipelineStatus): boolean => {
      if (status.state === "copying") sinceMs ??= performance.now();
      return status.state === "catching-up" || status.state === "synchronizing";
    };
    const startMs = performance.now();
    const status = await follower.until("the end of the copy", COPY_LIMIT_MS, this.#signal, isCopied);
    const seconds = (performance.now() - (sinceMs ?? startMs)) / 1000;
    const { keys } = pipelineFigures(status);
    const copies = shardCopies(status);
    const shares = copies.length < 2 ? "" : ` (${copies.map((copy) => `${copy.id} ${formatCount(copy.keys)}`).join(", ")})`;
    this.#screen.print(`copied: ${formatCount(keys)} keys${shares} in ${formatSeconds(seconds)}, while the load went on`);
    return { keys, seconds };
  }

  /** Lets the load go on; half-way the writer that has most lanes is killed. */
  async #live(follower: Follower, api: ApiClient, run: SluiceRun): Promise<Killed> {
    const halfSeconds = this.#options.seconds / 2;
    const half = new AbortController();
    const probing = this.#probe.repeat(PROBE_INTERVAL_MS, AbortSignal.any([half.signal, this.#signal]));
    try {
      await follower.during(halfSeconds, this.#signal);
    } finally {
      half.abort();
      await probing;
    }
    const { lanes } = await api.status(PIPELINE);
    const instance = busiestWriter(lanes);
    if (instance === null) throw new OperatorError("no writer has a lane");
    const own = new Set(lanes.filter((lane) => lane.instance === instance).map(laneName));
    const pid = await run.pidOf(instance);
    process.kill(pid, "SIGKILL");
    this.#screen.print(`kill -9 ${pid}: that was ${instance}, which had ${own.size} of ${lanes.length} lanes`);
    const recovering = this.#probe.measureAll(AbortSignal.any([AbortSignal.timeout(RECOVERY_LIMIT_MS), this.#signal]));
    const [recoveryMs] = await Promise.all([recovering, follower.during(halfSeconds, this.#signal)]);
    if (recoveryMs === null)
      throw new OperatorError(`not every lane goes on since ${instance} was killed, ${RECOVERY_LIMIT_MS / 1000} s ago`);
    this.#screen.print(`changes of all lanes arrived again ${formatSeconds(recoveryMs / 1000)} after ${instance} was killed`);
    return { instance, lanes: own, recoverySeconds: recoveryMs / 1000 };
  }

  async #drain(follower: Follower): Promise<{ status: PipelineStatus; ms: number }> {
    await this.#load.pause();
    this.#screen.update("draining", "the load has stopped; draining");
    const limit = AbortSignal.any([AbortSignal.timeout(DRAIN_LIMIT_MS), this.#signal]);
    const target = new DrainWatch();
    const [lastMs, status] = await Promise.all([
      this.#probe.measureAll(limit),
      follower.until("the end of the drain", DRAIN_LIMIT_MS, this.#signal, (seen) => target.see(seen)),
    ]);
    const ms = lastMs ?? DRAIN_LIMIT_MS;
    this.#screen.clear();
    this.#screen.print(`drained ${formatMs(ms)} after the load had stopped`);
    return { status, ms };
  }

  async #compare(graceMs: number): Promise<{ comparison: Comparison; seconds: number }> {
    const { source, oracle, destination } = this.#stage;
    const replicas = await oracle.sync();
    const startMs = performance.now();
    const comparison = await compareDeployments(replicas, destination.deployment, {
      expiryOf: (expiryMs) => expiryWithGrace(expiryMs, graceMs),
      source: source.deployment,
      onProgress: ({ done, total }) => {
        this.#screen.update(
          "comparing",
          `comparing ${bar(total === 0 ? 1 : done / total)} · ${formatCount(done)} of ${formatCount(total)} keys`,
        );
      },
    });
    const seconds = (performance.now() - startMs) / 1000;
    this.#screen.clear();
    this.#screen.print(
      `compared ${formatCount(comparison.keys)} keys with ${replicas.length === 1 ? "a replica" : "replicas"} of the source in ${formatSeconds(seconds)}`,
    );
    return { comparison, seconds };
  }
}
