import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, releasePort } from "@sluice/testkit";

/** A redis-server of our own on 127.0.0.1, ended and removed when it is disposed of. */
export interface SpawnedRedis extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** For a test that plays a server that hangs or dies. */
  readonly pid: number;
}

/**
 * Starts redis-server from the PATH with further options (`--name value` pairs) and waits until it accepts connections.
 * `portOption` is the option that takes the port: `--tls-port` for a server that speaks TLS only.
 * @throws {Error} it ended before that; the message holds what it printed.
 */
export async function spawnRedis(options: readonly string[] = [], portOption = "--port"): Promise<SpawnedRedis> {
  const directory = await mkdtemp(join(tmpdir(), "redis-"));
  const port = await freePort();
  const fixed = [
    "--port",
    "0",
    portOption,
    String(port),
    "--bind",
    "127.0.0.1",
    "--dir",
    directory,
    "--save",
    "",
    "--daemonize",
    "no",
  ];
  const server = spawn("redis-server", [...fixed, ...options], { stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise<void>((resolve) => {
    server.once("close", () => resolve());
    server.once("error", () => resolve());
  });
  let output = "";
  const ready = new Promise<boolean>((resolve) => {
    server.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes("Ready to accept connections")) resolve(true);
    });
    server.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    server.once("error", (error) => (output += error.message));
    void exited.then(() => resolve(false));
  });
  const dispose = async (): Promise<void> => {
    server.kill("SIGKILL");
    await exited;
    releasePort(port);
    await rm(directory, { recursive: true, force: true });
  };
  if (!(await ready)) {
    await dispose();
    throw new Error(`redis-server did not start: ${output}`);
  }
  return { host: "127.0.0.1", port, pid: server.pid ?? 0, [Symbol.asyncDispose]: dispose };
}
