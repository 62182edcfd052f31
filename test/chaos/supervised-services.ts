import { createWriteStream, type WriteStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, SpawnedProcess, TcpProxy, waitUntil } from "@sluice/testkit";
import { startSluice } from "../e2e/deployment.ts";
import { AnyStatus } from "./any-status.ts";

const START_AGAIN_MS = 300;

export interface ServiceCounts {
  readonly ingest: number;
  readonly writer: number;
  readonly router: number;
  readonly coordinator: number;
}

interface Instance {
  readonly service: string;
  readonly args: readonly string[];
  readonly log: WriteStream;
  readonly bus: TcpProxy;
  process: SpawnedProcess;
  starts: number;
}

/** Services that are started again when they end, each behind a proxy of its own to the bus. */
export class SupervisedServices implements AsyncDisposable {
  readonly status: AnyStatus;
  readonly #instances = new Map<string, Instance>();
  readonly #loops: Promise<void>[] = [];
  #isClosed = false;

  private constructor(apis: readonly string[]) {
    this.status = new AnyStatus(apis);
  }

  /** @param logDir gets a file for each instance */
  static async start(natsPort: number, counts: ServiceCounts, logDir: string): Promise<SupervisedServices> {
    const apis = await Promise.all(Array.from({ length: counts.coordinator }, async () => `127.0.0.1:${await freePort()}`));
    const services = new SupervisedServices(apis);
    for (const [service, count] of Object.entries(counts)) {
      for (let place = 0; place < Number(count); place++) {
        const listen = service === "coordinator" ? ["--listen", apis[place] ?? ""] : [];
        await services.#add(service, `${service}-${place + 1}`, listen, natsPort, logDir);
      }
    }
    const isReady = async (api: string): Promise<boolean> => (await fetch(`http://${api}/readyz`)).ok;
    const isOneReady = async (): Promise<boolean> => (await Promise.all(apis.map(isReady))).includes(true);
    await waitUntil("a coordinator is active", isOneReady, { timeoutMs: 180_000 });
    return services;
  }

  get names(): string[] {
    return [...this.#instances.keys()];
  }

  /** How often instances were started after their first start. */
  get restarts(): number {
    return [...this.#instances.values()].reduce((sum, { starts }) => sum + starts - 1, 0);
  }

  /** Between one instance and the bus. */
  busOf(name: string): TcpProxy {
    return this.#of(name).bus;
  }

  /** SIGKILL; the supervisor starts it again. */
  async kill(name: string): Promise<void> {
    await this.#of(name).process.kill("SIGKILL");
  }

  /** SIGSTOP for so long; a process that was killed meanwhile stays so. */
  async suspend(name: string, ms: number): Promise<void> {
    const { process } = this.#of(name);
    if (process.exit !== undefined) return;
    process.suspend();
    await sleep(ms);
    process.signal("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const instances = [...this.#instances.values()];
    await Promise.all(instances.map(({ process }) => process[Symbol.asyncDispose]()));
    await Promise.all(this.#loops);
    await Promise.all(instances.map(({ bus }) => bus[Symbol.asyncDispose]()));
    for (const { log } of instances) log.end();
  }

  #of(name: string): Instance {
    const instance = this.#instances.get(name);
    if (instance === undefined) throw new Error(`no instance ${name}`);
    return instance;
  }

  async #add(service: string, name: string, more: readonly string[], natsPort: number, logDir: string): Promise<void> {
    const bus = await TcpProxy.start({ to: { host: "127.0.0.1", port: natsPort } });
    const log = createWriteStream(join(logDir, `${name}.log`));
    const args = ["service", service, "--nats", `nats://127.0.0.1:${bus.port}`, "--instance", name, ...more];
    const instance: Instance = { service, args, log, bus, process: await this.#launch(args, log), starts: 1 };
    this.#instances.set(name, instance);
    this.#loops.push(this.#keepRunning(instance));
  }

  async #keepRunning(instance: Instance): Promise<void> {
    for (;;) {
      const exit = await instance.process.exited;
      if (this.#isClosed) return;
      instance.log.write(`--- ended: ${JSON.stringify(exit)}\n`);
      await sleep(START_AGAIN_MS);
      instance.process = await this.#launch(instance.args, instance.log);
      instance.starts++;
      // It may have been closed while the process was being started.
      if (this.#isClosed) await instance.process.kill();
    }
  }

  async #launch(args: readonly string[], log: WriteStream): Promise<SpawnedProcess> {
    return startSluice(args, { SLUICE_SECRET_KEY: "0".repeat(64) }, (text) => void log.write(text));
  }
}
