import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, releasePort } from "./free-port.ts";
import { SpawnedProcess, type SpawnOptions } from "./spawned-process.ts";
import { waitUntil } from "./wait-until.ts";

const START_DEADLINE_MS = 20_000;

export interface ServerPlan {
  readonly port?: number | undefined;
  readonly dir?: string | undefined;
  /** Prefix of the temporary directory and name in messages. */
  readonly name: string;
  readonly spawn: (port: number, dir: string) => SpawnOptions;
  /** Resolves true when the server on that port does its work; an error or false means "not yet". */
  readonly isReady: (port: number) => Promise<boolean>;
}

/** One server on one port and one directory, through any number of processes. */
export class ServerLifecycle {
  readonly port: number;
  readonly dir: string;
  readonly #plan: ServerPlan;
  #process: SpawnedProcess | undefined;

  private constructor(plan: ServerPlan, port: number, dir: string) {
    this.#plan = plan;
    this.port = port;
    this.dir = dir;
  }

  static async start(plan: ServerPlan): Promise<ServerLifecycle> {
    const port = plan.port ?? (await freePort());
    const dir = plan.dir ?? (await mkdtemp(join(tmpdir(), `sluice-${plan.name}-`)));
    const lifecycle = new ServerLifecycle(plan, port, dir);
    try {
      await lifecycle.#launch();
      return lifecycle;
    } catch (error) {
      await lifecycle.dispose();
      throw error;
    }
  }

  get process(): SpawnedProcess {
    if (this.#process === undefined) throw new Error(`${this.#plan.name} on port ${this.port} was never started`);
    return this.#process;
  }

  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.process.kill(signal);
    await this.#launch();
  }

  /** Kills the process, gives the port back and removes the directory if it was a temporary one. May be called twice. */
  async dispose(): Promise<void> {
    await this.#process?.kill();
    releasePort(this.port);
    if (this.#plan.dir === undefined) await rm(this.dir, { recursive: true, force: true });
  }

  async #launch(): Promise<void> {
    const { plan, port, dir } = { plan: this.#plan, port: this.port, dir: this.dir };
    const temporary = plan.dir === undefined ? { temporaryDir: dir } : {};
    const child = await SpawnedProcess.start({ ...plan.spawn(port, dir), ...temporary });
    this.#process = child;
    const answered = await waitUntil(
      `${plan.name} answers on port ${port}`,
      async () => (child.exit === undefined ? (await plan.isReady(port)) && "ready" : "ended"),
      { timeoutMs: START_DEADLINE_MS, details: () => child.logTail() },
    );
    if (answered === "ended" || child.exit !== undefined) {
      throw new Error(`${plan.name} ended while starting on port ${port} (${JSON.stringify(child.exit)})\n${child.logTail()}`);
    }
  }
}
