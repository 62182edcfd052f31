import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DrainWatch } from "@sluice/cli";
import { freePort, SpawnedProcess, waitUntil } from "@sluice/testkit";
import { pipelineStatus, type PipelineStatus } from "@sluice/wire";
import { COMPILED_SLUICE } from "./compiled-programs.ts";

/** What takes longer hangs, on a machine that is busy with other things, too. */
const PATIENCE_MS = 180_000;

/** One of our processes, compiled, as an operator starts it outside the source tree. */
export async function startSluice(
  args: readonly string[],
  env: Record<string, string> = {},
  onOutput: (text: string) => void = () => undefined,
): Promise<SpawnedProcess> {
  return SpawnedProcess.start({ command: process.execPath, args: [COMPILED_SLUICE, ...args], env, onOutput });
}

/** Asks an API for the status of pipelines. */
export class StatusClient {
  readonly #api: string;

  constructor(api: string) {
    this.#api = api;
  }

  async get(name: string): Promise<PipelineStatus> {
    const response = await fetch(`http://${this.#api}/api/v1/pipelines/${name}`);
    if (!response.ok) throw new Error(`status of ${name}: ${response.status} ${await response.text()}`);
    return pipelineStatus.parse(await response.json());
  }

  /** Creates a pipeline from what would stand in its file. */
  async create(pipeline: object): Promise<void> {
    const response = await fetch(`http://${this.#api}/api/v1/pipelines`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(pipeline),
    });
    if (!response.ok) throw new Error(`create: ${response.status} ${await response.text()}`);
  }

  /** Asks for something to be done with a pipeline: `stop`, `cutover`. What was answered, whatever it is. */
  async post(name: string, action: string, body: object = {}): Promise<{ code: number; answer: string }> {
    const response = await fetch(`http://${this.#api}/api/v1/pipelines/${name}/${action}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { code: response.status, answer: await response.text() };
  }

  /** Replaces a pipeline by what would stand in its file. What was answered, whatever it is. */
  async put(
    pipeline: { readonly name: string; readonly destinations: readonly object[] },
    query = "",
  ): Promise<{ code: number; answer: string }> {
    const response = await fetch(`http://${this.#api}/api/v1/pipelines/${pipeline.name}${query}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(pipeline),
    });
    return { code: response.status, answer: await response.text() };
  }

  /** Waits until the status is as wanted; a pipeline that failed ends the wait. */
  async until(
    name: string,
    what: string,
    wanted: (status: PipelineStatus) => boolean,
    timeoutMs = PATIENCE_MS,
  ): Promise<PipelineStatus> {
    let last: PipelineStatus | null = null;
    return waitUntil(
      `${name}: ${what}`,
      async () => {
        last = await this.get(name);
        return wanted(last) ? last : null;
      },
      { timeoutMs, everyMs: 50, details: () => JSON.stringify(last) },
    );
  }

  /** Waits until all that the source has written before this call is applied. */
  async drained(name: string, timeoutMs = PATIENCE_MS): Promise<PipelineStatus> {
    const watch = new DrainWatch();
    return this.until(name, "drained", (status) => watch.see(status), timeoutMs);
  }
}

/** `sluice run` with a pipeline from one server to another, in a data directory of its own. */
export class Run implements AsyncDisposable {
  readonly status: StatusClient;
  readonly #process: SpawnedProcess;
  readonly #dir: string;

  private constructor(dir: string, process: SpawnedProcess, api: string) {
    this.#dir = dir;
    this.#process = process;
    this.status = new StatusClient(api);
  }

  static async start(pipeline: object, args: readonly string[] = []): Promise<Run> {
    const dir = await mkdtemp(join(tmpdir(), "sluice-e2e-"));
    await writeFile(join(dir, "pipeline.yaml"), JSON.stringify(pipeline));
    return Run.#launch(dir, args);
  }

  /** The same command once more, in the same data directory, after this one has ended. */
  async again(): Promise<Run> {
    return Run.#launch(this.#dir, []);
  }

  static async #launch(dir: string, args: readonly string[]): Promise<Run> {
    const file = join(dir, "pipeline.yaml");
    const before = await readRecord(dir).catch(() => null);
    const process = await startSluice(["run", file, "--data", join(dir, "data"), "--api", "127.0.0.1:0", ...args]);
    const isNew = (pid: number): boolean => pid !== before?.pid;
    const up = async () => {
      const record = await readRecord(dir);
      return isNew(record.pid) ? record : null;
    };
    const record = await waitUntil("sluice run is up", up, { details: () => process.logTail() });
    return new Run(dir, process, record.api);
  }

  /** What it printed last. */
  logTail(): string {
    return this.#process.logTail();
  }

  async logOf(instance: string): Promise<string> {
    return readFile(join(this.#dir, "data", "log", `${instance}.log`), "utf8");
  }

  async processes(): Promise<Readonly<Record<string, number>>> {
    return (await readRecord(this.#dir)).processes;
  }

  /** kill -9 of one of its processes; resolves when it runs again under another pid. */
  async killAndWait(name: string): Promise<void> {
    const pid = (await this.processes())[name];
    if (pid === undefined) throw new Error(`no process ${name} in ${JSON.stringify(await this.processes())}`);
    process.kill(pid, "SIGKILL");
    await waitUntil(`${name} is started again`, async () => ![undefined, pid].includes((await this.processes())[name]));
  }

  /** As Ctrl-C does. Resolves with its exit code. */
  async interrupt(): Promise<number | null> {
    this.#process.signal("SIGINT");
    return (await this.#process.exited).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exit === undefined) await this.interrupt();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** Services on a NATS that is there already, each a process of its own that nobody starts again. */
export class Services implements AsyncDisposable {
  /** Where the API of `coordinator-1` listens, `host:port`. */
  readonly api: string;
  readonly status: StatusClient;
  readonly #nats: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #processes = new Map<string, SpawnedProcess>();
  readonly #outputs = new Map<string, string[]>();

  private constructor(nats: string, api: string, settings: Readonly<Record<string, string>>) {
    this.#nats = nats;
    this.#settings = settings;
    this.api = api;
    this.status = new StatusClient(api);
  }

  /** Starts a router, a coordinator, and so many of the others; `settings`: variables of their environment. */
  static async start(
    nats: string,
    counts: { ingests: number; writers: number; settings?: Readonly<Record<string, string>> },
  ): Promise<Services> {
    const api = `127.0.0.1:${await freePort()}`;
    const services = new Services(nats, api, counts.settings ?? {});
    await services.add("router", "router-1");
    await services.add("coordinator", "coordinator-1", ["--listen", api]);
    for (let index = 1; index <= counts.ingests; index++) await services.add("ingest", `ingest-${index}`);
    for (let index = 1; index <= counts.writers; index++) await services.add("writer", `writer-${index}`);
    await waitUntil("the API answers", async () => (await fetch(`http://${api}/readyz`)).ok, { timeoutMs: 90_000 });
    return services;
  }

  /** @param nats its own way to the bus, e.g. through a proxy */
  async add(service: string, instance: string, args: readonly string[] = [], nats = this.#nats): Promise<void> {
    const output: string[] = [];
    const process = await startSluice(
      ["service", service, "--nats", nats, "--instance", instance, ...args],
      { SLUICE_SECRET_KEY: "0".repeat(64), ...this.#settings },
      (text) => output.push(text),
    );
    this.#processes.set(instance, process);
    this.#outputs.set(instance, output);
  }

  of(instance: string): SpawnedProcess {
    const process = this.#processes.get(instance);
    if (process === undefined) throw new Error(`no instance ${instance}`);
    return process;
  }

  outputOf(instance: string): string {
    return this.#outputs.get(instance)?.join("") ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#processes.values()].map((process) => process[Symbol.asyncDispose]()));
  }
}

interface RunRecord {
  readonly pid: number;
  readonly api: string;
  readonly processes: Readonly<Record<string, number>>;
}

async function readRecord(dir: string): Promise<RunRecord> {
  return JSON.parse(await readFile(join(dir, "data", "run.json"), "utf8")) as RunRecord;
}
