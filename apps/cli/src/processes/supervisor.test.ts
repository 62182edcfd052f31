import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ProcessPlan } from "./process-plan.ts";
import { restartDelayMs } from "./supervised-process.ts";
import { Supervisor } from "./supervisor.ts";

/** What takes longer hangs, on a machine that is busy with other things, too. */
const PATIENCE_MS = 60_000;

let folder: string;
let notices: string[];
let supervisor: Supervisor;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-supervisor-"));
  notices = [];
  supervisor = new Supervisor({ notice: (line) => notices.push(line), changed: () => undefined });
});
afterEach(async () => {
  await supervisor.stop();
  await rm(folder, { recursive: true });
});

/** A shell that says `up <name>`, then waits without a child of its own; `script` runs before it waits. */
function shell(name: string, script = "", stopLimitMs = PATIENCE_MS): ProcessPlan {
  const pipe = join(folder, `${name}.pipe`);
  const body = `${script}\n[ -p ${pipe} ] || mkfifo ${pipe}; exec 3<>${pipe}; echo "up ${name}"; while :; do read -r _ <&3; done`;
  const logFile = join(folder, "log", `${name}.log`);
  return { name, command: "/bin/sh", args: ["-c", body], env: { NAME: name }, logFile, parentLoss: "guard", stopLimitMs };
}

/** Writes its name down when it is asked to end, and ends. */
const farewell = (file: string) => `trap 'echo "$NAME" >> ${file}; exit 0' TERM`;

async function up(plan: ProcessPlan, times = 1): Promise<void> {
  await vi.waitFor(
    async () => expect((await readFile(plan.logFile, "utf8")).split(`up ${plan.name}\n`).length - 1).toBe(times),
    {
      timeout: PATIENCE_MS,
      interval: 5,
    },
  );
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("starts its processes with their environment and keeps their output", async () => {
  const plan = shell("one", 'echo "name is $NAME"; echo "on stderr" >&2');
  await supervisor.start([plan]);
  await up(plan);
  expect(isAlive(supervisor.pids["one"] as number)).toBe(true);
  expect(await readFile(plan.logFile, "utf8")).toBe("name is one\non stderr\nup one\n");
});

test("starts a killed process again, and says so", async () => {
  const plan = shell("one");
  await supervisor.start([plan, shell("two")]);
  await up(plan);
  const [first, other] = [supervisor.pids["one"] as number, supervisor.pids["two"]];
  process.kill(first, "SIGKILL");
  await up(plan, 2);
  expect(notices).toEqual(["one was killed (SIGKILL); started again"]);
  expect(supervisor.pids["one"]).not.toBe(first);
  expect(supervisor.pids["two"]).toBe(other);
});

test("waits longer each time that a process ends at once", async () => {
  await supervisor.start([{ ...shell("one"), args: ["-c", "exit 3"] }]);
  await vi.waitFor(() => expect(notices.length).toBeGreaterThanOrEqual(3), { timeout: PATIENCE_MS });
  const log = join(folder, "log", "one.log");
  expect(notices.slice(0, 3)).toEqual([
    "one ended with exit code 3; started again",
    `one ended with exit code 3; starts again in 0.2 s; its log: ${log}`,
    `one ended with exit code 3; starts again in 0.4 s; its log: ${log}`,
  ]);
  expect([1, 2, 6, 7, 100].map(restartDelayMs)).toEqual([100, 200, 3_200, 5_000, 5_000]);
});

test("stops what started last first, and starts nothing again", async () => {
  const file = join(folder, "order");
  const [bottom, left, right] = ["bottom", "left", "right"].map((name) => shell(name, farewell(file))) as [
    ProcessPlan,
    ProcessPlan,
    ProcessPlan,
  ];
  await supervisor.start([bottom]);
  await supervisor.start([left, right]);
  await Promise.all([up(bottom), up(left), up(right)]);
  await supervisor.stop();
  const order = (await readFile(file, "utf8")).trim().split("\n");
  expect(order.toSorted()).toEqual(["bottom", "left", "right"]);
  expect(order.at(-1)).toBe("bottom");
  expect(supervisor.pids).toEqual({});
  expect(notices).toEqual([]);
  await supervisor.stop();
});

test("ends a process that does not listen once its time is over", async () => {
  const plan = shell("deaf", "trap '' TERM", 50);
  await supervisor.start([plan]);
  await up(plan);
  const pid = supervisor.pids["deaf"] as number;
  await supervisor.stop();
  expect(isAlive(pid)).toBe(false);
});

test("ends everything at once", async () => {
  const file = join(folder, "order");
  const plan = shell("one", farewell(file));
  await supervisor.start([plan]);
  await up(plan);
  const pid = supervisor.pids["one"] as number;
  supervisor.kill();
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: PATIENCE_MS, interval: 5 });
  await expect(readFile(file)).rejects.toThrow("ENOENT");
});

test("a command that does not exist is refused, not tried again", async () => {
  await expect(supervisor.start([{ ...shell("one"), command: "no-such-command-here" }])).rejects.toThrow(
    "one can't be started: no-such-command-here: spawn no-such-command-here ENOENT",
  );
  expect(notices).toEqual([]);
});
