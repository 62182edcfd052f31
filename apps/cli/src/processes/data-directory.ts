import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { OperatorError } from "../operator-error.ts";
import { commandLine } from "./command-line.ts";
import { endLeftover } from "./leftover.ts";
import { readRunRecord, runRecordPath } from "./run-record.ts";

const KEY_BYTES = 32;

/** Everything that `sluice run` keeps: the bus's storage, logs, the key that seals secrets. One run at a time owns it. */
export class DataDirectory {
  /** Absolute. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes the directory ready and takes it for this process; what an earlier run left running is ended first (`leftover` is
   * told the name). Throws `OperatorError` when another run owns it.
   */
  static async take(path: string, leftover: (name: string) => void): Promise<DataDirectory> {
    const directory = new DataDirectory(resolve(path));
    await directory.#makeFolders();
    await directory.#lock();
    await directory.#endLeftovers(leftover);
    return directory;
  }

  get natsStore(): string {
    return join(this.path, "nats");
  }

  get natsConfig(): string {
    return join(this.path, "nats.conf");
  }

  get natsPidFile(): string {
    return join(this.path, "nats.pid");
  }

  logFile(process: string): string {
    return join(this.path, "log", `${process}.log`);
  }

  /** The key that seals secrets in records, 64 hexadecimal digits; made at the first start. */
  async secretKey(): Promise<string> {
    const path = join(this.path, "secret.key");
    try {
      await writeFile(path, `${randomBytes(KEY_BYTES).toString("hex")}\n`, { mode: 0o600, flag: "wx" });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    }
    const key = (await readFile(path, "utf8")).trim();
    if (/^[0-9a-fA-F]{64}$/.test(key)) return key;
    throw new OperatorError(
      `${path} does not hold 64 hexadecimal digits`,
      "Bring the file back; without it the secrets of the pipelines here can't be opened.",
    );
  }

  /** The port that the nats-server of this directory had last; null at the first start. */
  async natsPort(): Promise<number | null> {
    const port = Number(await readFile(join(this.path, "nats.port"), "utf8").catch(() => ""));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
  }

  async keepNatsPort(port: number): Promise<void> {
    await writeFile(join(this.path, "nats.port"), `${port}\n`);
  }

  /** Gives the directory back: all processes have ended. */
  async release(): Promise<void> {
    await rm(runRecordPath(this.path), { force: true });
    await rm(this.#lockPath, { force: true });
  }

  get #lockPath(): string {
    return join(this.path, "run.pid");
  }

  async #makeFolders(): Promise<void> {
    try {
      await mkdir(join(this.path, "log"), { recursive: true, mode: 0o700 });
      await mkdir(this.natsStore, { recursive: true, mode: 0o700 });
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      throw new OperatorError(
        `${this.path} can't be made: ${code}`,
        "Name a directory that can be written, with --data DIR.",
        1,
        { cause },
      );
    }
  }

  async #lock(): Promise<void> {
    for (;;) {
      try {
        await writeFile(this.#lockPath, `${process.pid}\n`, { flag: "wx" });
        return;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
      }
      const owner = Number(await readFile(this.#lockPath, "utf8").catch(() => ""));
      // After a crash the number may belong to any program by now; a run says so on its command line.
      const isAlive = owner > 0 && owner !== process.pid && / run /.test((await commandLine(owner)) ?? "");
      if (isAlive) {
        const api = (await readRunRecord(this.path))?.api;
        throw new OperatorError(
          `a \`sluice run\` (process ${owner}${api === undefined ? "" : `, API ${api}`}) uses ${this.path} already`,
          "Stop it with Ctrl-C there, or name another directory with --data DIR.",
        );
      }
      await rm(this.#lockPath, { force: true });
    }
  }

  async #endLeftovers(leftover: (name: string) => void): Promise<void> {
    const { processes = {} } = (await readRunRecord(this.path)) ?? {};
    const found = new Map(Object.entries(processes).map(([name, pid]) => [pid, name]));
    const bus = Number(await readFile(this.natsPidFile, "utf8").catch(() => ""));
    if (bus > 0) found.set(bus, "nats-server");
    for (const [pid, name] of found) if (await endLeftover(pid, this.path)) leftover(name);
    await rm(runRecordPath(this.path), { force: true });
  }
}
