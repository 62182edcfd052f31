import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { OperatorError, readRunRecord } from "@sluice/cli";
import type { Stage } from "./stage.ts";

const POLL_MS = 100;
const QUIT_LIMIT_MS = 3_000;

/** `sluice run` as an operator would call it, as a child process. Its output goes to `run.log` in the stage's folder. */
export class SluiceRun {
  readonly #child: ChildProcess;
  readonly #stage: Stage;
  readonly #logFile: string;

  constructor(stage: Stage, args: readonly string[]) {
    this.#stage = stage;
    this.#logFile = join(stage.dir, "run.log");
    const main = fileURLToPath(import.meta.resolve("@sluice/cli/main"));
    const log = openSync(this.#logFile, "a");
    this.#child = spawn(
      process.execPath,
      [...process.execArgv, main, "run", stage.pipelineFile, "--data", stage.dataDirectory, "--api", "127.0.0.1:0", ...args],
      { detached: true, stdio: ["ignore", log, log, "ipc"] },
    );
    closeSync(log);
    this.#child.on("error", () => undefined);
  }

  /** Waits until it has written down where its API is. Throws `OperatorError` with its last words when it ends instead. */
  async apiAddress(signal: AbortSignal): Promise<string> {
    for (;;) {
      const record = await readRunRecord(this.#stage.dataDirectory);
      if (record !== null) return record.api;
      await this.check();
      await delay(POLL_MS, undefined, { signal });
    }
  }

  /** Throws `OperatorError` with its last words if it has ended. */
  async check(): Promise<void> {
    if (!this.#hasEnded) return;
    const words = (await readFile(this.#logFile, "utf8").catch(() => "")).trim().split("\n").slice(-6).join("\n");
    throw new OperatorError(`\`sluice run\` has ended by itself:\n${words}`);
  }

  /** Process id of an instance, from `run.json`. */
  async pidOf(instance: string): Promise<number> {
    const pid = (await readRunRecord(this.#stage.dataDirectory))?.processes[instance];
    if (pid === undefined) throw new OperatorError(`run.json of ${this.#stage.dataDirectory} does not name ${instance}`);
    return pid;
  }

  /** As Ctrl-C would: the pipeline is drained and everything is ended in order. */
  async stop(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGINT");
    await ended;
  }

  /** As a second Ctrl-C would: everything ends at once. */
  async quit(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), QUIT_LIMIT_MS);
    await ended;
    clearTimeout(limit);
  }

  get #hasEnded(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}
