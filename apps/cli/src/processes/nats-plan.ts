import { execFile } from "node:child_process";
import { readdir, stat, statfs, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { OperatorError } from "../operator-error.ts";
import type { DataDirectory } from "./data-directory.ts";
import { freeAddress } from "./listen-address.ts";
import type { ProcessPlan } from "./process-plan.ts";

const HOST = "127.0.0.1";
const COMMAND = "nats-server";
const MAX_PAYLOAD_BYTES = 1024 * 1024;
const MAX_MEMORY_STORE_BYTES = 64 * 1024 * 1024;
/** Share of the free disk that streams may take. */
const DISK_SHARE = 0.8;
const READY_LIMIT_MS = 60_000;
const POLL_MS = 50;
const GREETING_LIMIT_MS = 1_000;

/** A nats-server that is about to be started. */
export interface NatsPlan {
  readonly plan: ProcessPlan;
  readonly port: number;
  readonly url: string;
}

/** Throws `OperatorError` where nats-server is not installed. */
export async function checkNatsServer(): Promise<void> {
  try {
    await promisify(execFile)(COMMAND, ["--version"]);
  } catch (cause) {
    throw new OperatorError(
      "nats-server is not installed or not in PATH",
      "Install it: apt-get install nats-server (Debian and Ubuntu), brew install nats-server (macOS), or https://github.com/nats-io/nats-server/releases",
      1,
      { cause },
    );
  }
}

/** Writes the configuration of the nats-server of a data directory: JetStream on loopback, on the port it had last if that is free. */
export async function planNats(directory: DataDirectory): Promise<NatsPlan> {
  const kept = await directory.natsPort();
  const address = (await freeAddress({ host: HOST, port: kept ?? 0 })) ?? (await freeAddress({ host: HOST, port: 0 }));
  const port = address?.port as number;
  await directory.keepNatsPort(port);
  const lines = [
    "# Written anew at every start of `sluice run`.",
    `listen: "${HOST}:${port}"`,
    `pid_file: ${JSON.stringify(directory.natsPidFile)}`,
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    "jetstream {",
    `  store_dir: ${JSON.stringify(directory.natsStore)}`,
    `  max_memory_store: ${MAX_MEMORY_STORE_BYTES}`,
    `  max_file_store: ${await fileStoreBytes(directory.natsStore)}`,
    "}",
  ];
  await writeFile(directory.natsConfig, `${lines.join("\n")}\n`, { mode: 0o600 });
  const plan: ProcessPlan = {
    name: COMMAND,
    command: COMMAND,
    args: ["-c", directory.natsConfig],
    env: {},
    logFile: directory.logFile(COMMAND),
    parentLoss: "guard",
    stopLimitMs: 10_000,
  };
  return { plan, port, url: `nats://${HOST}:${port}` };
}

/** Waits until the nats-server greets with JetStream on, which it does once its streams are recovered. */
export async function natsReady({ port, plan }: NatsPlan, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + READY_LIMIT_MS;
  while (!/"jetstream":\s*true/.test(await greeting(port))) {
    if (performance.now() > deadlineMs)
      throw new OperatorError(`nats-server does not answer on port ${port}`, `Its log: ${plan.logFile}`);
    await delay(POLL_MS, undefined, { signal });
  }
}

/** First line that a server sends; empty when nobody listens. */
function greeting(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ host: HOST, port });
    socket.setEncoding("latin1").setTimeout(GREETING_LIMIT_MS, () => socket.destroy());
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n")) socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
  });
}

/** What JetStream may hold: what it holds already and most of what is free. */
async function fileStoreBytes(store: string): Promise<number> {
  const { bavail, bsize } = await statfs(store);
  return Math.floor((await sizeBytes(store)) + bavail * bsize * DISK_SHARE);
}

async function sizeBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
