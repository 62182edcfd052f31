import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { guardProcess, unguardProcess } from "./process-guard.ts";

/** Characters at the end of the output that are kept for messages. */
const LOG_TAIL_LENGTH = 16 * 1024;

export interface SpawnOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Record<string, string | undefined>;
  /** Written to its standard input, which is then closed. */
  readonly input?: string;
  /** Completes the message when the command does not exist, e.g. "install the Debian package nats-server". */
  readonly remedy?: string;
  /** Gets every piece of output, of both streams. */
  readonly onOutput?: (text: string) => void;
  /** Removed if this process dies without having stopped the child. */
  readonly temporaryDir?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A child process with the end of its output. It never outlives this process (see `guardProcess`). */
export class SpawnedProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<Exit>;
  #exit: Exit | undefined;
  #log = "";

  private constructor(child: ChildProcess, onOutput?: (text: string) => void) {
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        unguardProcess(this.pid);
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#log = (this.#log + text).slice(-LOG_TAIL_LENGTH);
        onOutput?.(text);
      });
    }
  }

  /** @throws Error when the command can't be started: it names the command and the remedy. */
  static async start(options: SpawnOptions): Promise<SpawnedProcess> {
    const { command, args, cwd, env, input, remedy, temporaryDir } = options;
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.on("error", () => undefined); // it may end before it has read everything; its exit tells
    try {
      await once(child, "spawn");
    } catch (error) {
      const reason = String(error).includes("ENOENT") ? "is not installed or not in PATH" : String(error);
      throw new Error(`${command} ${reason}${remedy === undefined ? "" : `: ${remedy}`}`, { cause: error });
    }
    guardProcess(child.pid ?? 0, temporaryDir);
    child.stdin.end(input ?? "");
    return new SpawnedProcess(child, options.onOutput);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** SIGSTOP; returns when the process really stands still (Linux: its state in /proc is T). @throws Error after a second */
  suspend(): void {
    this.signal("SIGSTOP");
    const deadlineMs = performance.now() + 1000;
    while (!/\) T /.test(readFileSync(`/proc/${this.pid}/stat`, "latin1"))) {
      if (performance.now() > deadlineMs) throw new Error(`process ${this.pid} does not stop`);
    }
  }

  /** How it ended, or undefined while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Resolves when it has ended. */
  get exited(): Promise<Exit> {
    return this.#exited;
  }

  /** Sends a signal without waiting. False if it has ended already. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#exit === undefined && this.#child.kill(signal);
  }

  /** Sends the signal (and SIGCONT, so that a stopped process takes notice) and waits for the end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<Exit> {
    if (this.signal(signal)) this.signal("SIGCONT");
    return this.#exited;
  }

  /** The last 16 384 characters of what it wrote to its two outputs. */
  logTail(): string {
    return this.#log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
