import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { OperatorError } from "../operator-error.ts";
import { guardFromOrphaning } from "./parent-guard.ts";
import type { ProcessPlan } from "./process-plan.ts";

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;
/** A process that has run for so long is started again as quickly as one that died for the first time. */
const SETTLED_MS = 10_000;
/** A log larger than this is put aside as `<name>.log.old` when its process starts. */
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;

/** What a supervised process tells its tree. */
export interface ProcessEvents {
  /** One line for the operator. */
  notice(line: string): void;
  /** The process id has changed. */
  changed(): void;
}

/** How long the `attempt`-th start in a row (from 1) waits: doubles from 100 ms up to 5 s. */
export function restartDelayMs(attempt: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt - 1, 16));
}

/** One process that is started again whenever it ends without having been asked to. */
export class SupervisedProcess {
  readonly plan: ProcessPlan;
  readonly #events: ProcessEvents;
  #child: ChildProcess | null = null;
  #restart: NodeJS.Timeout | null = null;
  #isStopping = false;
  #attempt = 0;

  constructor(plan: ProcessPlan, events: ProcessEvents) {
    this.plan = plan;
    this.#events = events;
  }

  /** Null while it does not run. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Resolves once the process exists. Throws `OperatorError` when its command can't be started. */
  async start(): Promise<void> {
    const { name, command } = this.plan;
    const child = this.#spawn();
    try {
      await once(child, "spawn");
    } catch (cause) {
      throw new OperatorError(`${name} can't be started: ${command}: ${(cause as Error).message}`, "", 1, { cause });
    }
  }

  /** Asks it to end (SIGTERM), and ends it after `stopLimitMs`. Resolves when it has ended. May be called twice. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const limit = setTimeout(() => child.kill("SIGKILL"), this.plan.stopLimitMs);
    await ended;
    clearTimeout(limit);
  }

  /** Ends it at once. */
  kill(): void {
    this.#isStopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#child?.kill("SIGKILL");
  }

  #spawn(): ChildProcess {
    const { command, args, env, logFile, parentLoss } = this.plan;
    const log = openLog(logFile);
    // In a session of its own: a Ctrl-C in the terminal is for the parent, which stops its processes in order.
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      detached: true,
      stdio: ["ignore", log, log, ...(parentLoss === "channel" ? (["ipc"] as const) : [])],
    });
    closeSync(log);
    const startedAtMs = performance.now();
    child.on("error", () => undefined);
    if (child.pid === undefined) return child;
    this.#child = child;
    this.#events.changed();
    const release = parentLoss === "guard" ? guardFromOrphaning(child.pid) : null;
    child.once("exit", (code, signal) => {
      release?.();
      this.#child = null;
      this.#events.changed();
      if (!this.#isStopping) this.#startAgain(describeExit(code, signal), performance.now() - startedAtMs);
    });
    return child;
  }

  #startAgain(exit: string, livedMs: number): void {
    this.#attempt = livedMs >= SETTLED_MS ? 1 : this.#attempt + 1;
    const delayMs = restartDelayMs(this.#attempt);
    const { name, logFile } = this.plan;
    const again =
      this.#attempt === 1 ? "started again" : `starts again in ${(delayMs / 1000).toFixed(1)} s; its log: ${logFile}`;
    this.#events.notice(`${name} ${exit}; ${again}`);
    this.#restart = setTimeout(() => {
      const child = this.#spawn();
      child.once("error", (error) => this.#startAgain(`can't be started (${error.message})`, 0));
    }, delayMs);
  }
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `ended with exit code ${code}` : `was killed (${signal})`;
}

function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_LIMIT_BYTES) renameSync(path, `${path}.old`);
  return openSync(path, "a", 0o600);
}
