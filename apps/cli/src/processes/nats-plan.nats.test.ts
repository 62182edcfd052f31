import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { commandLine } from "./command-line.ts";
import { DataDirectory } from "./data-directory.ts";
import { natsReady, planNats } from "./nats-plan.ts";
import { Supervisor } from "./supervisor.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-nats-plan-"));
});
afterEach(async () => rm(folder, { recursive: true }));

const live = new AbortController().signal;
/** What takes longer hangs, on a machine that is busy with other things, too. */
const PATIENCE_MS = 60_000;

test("a nats-server that is killed comes back on its port; the next run takes the same port", async () => {
  const directory = await DataDirectory.take(folder, () => undefined);
  const nats = await planNats(directory);
  const notices: string[] = [];
  const supervisor = new Supervisor({ notice: (line) => notices.push(line), changed: () => undefined });
  try {
    await supervisor.start([nats.plan]);
    await natsReady(nats, live);
    const first = supervisor.pids["nats-server"] as number;
    expect(Number(await readFile(directory.natsPidFile, "utf8"))).toBe(first);
    process.kill(first, "SIGKILL");
    await vi.waitFor(() => expect(notices).toEqual(["nats-server was killed (SIGKILL); started again"]), {
      timeout: PATIENCE_MS,
    });
    await natsReady(nats, live);
    await vi.waitFor(() => expect(supervisor.pids["nats-server"] ?? first).not.toBe(first), { timeout: PATIENCE_MS });
  } finally {
    await supervisor.stop();
  }
  expect((await planNats(directory)).port).toBe(nats.port);
});

test("nothing outlives a run that is killed", async () => {
  const host = fileURLToPath(new URL("nats-host.sample.ts", import.meta.url));
  const loader = import.meta.resolve("tsx");
  const child = spawn(process.execPath, ["-C", "@sluice/source", "--import", loader, host, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const [text] = (await once(child.stdout, "data")) as [Buffer];
  const pids = Object.values(JSON.parse(text.toString()) as Record<string, number>);
  expect(pids.length).toBe(2);
  for (const pid of pids) expect(await commandLine(pid)).not.toBeNull();
  child.kill("SIGKILL");
  await exited;
  for (const pid of pids)
    await vi.waitFor(async () => expect(await commandLine(pid)).toBeNull(), { timeout: PATIENCE_MS, interval: 50 });
});
