import { DataDirectory } from "./data-directory.ts";
import { natsReady, planNats } from "./nats-plan.ts";
import { Supervisor } from "./supervisor.ts";

/** Runs a nats-server and a Node program in a data directory until it is killed, for tests; prints their process ids as JSON. */
const directory = await DataDirectory.take(process.argv[2] as string, () => undefined);
const supervisor = new Supervisor({ notice: () => undefined, changed: () => undefined });
const nats = await planNats(directory);
await supervisor.start([nats.plan]);
const script = "process.on('disconnect', () => process.exit()); setInterval(() => {}, 1e6)";
const watcher = {
  ...nats.plan,
  name: "watcher",
  command: process.execPath,
  args: ["-e", script],
  logFile: directory.logFile("watcher"),
};
await supervisor.start([{ ...watcher, parentLoss: "channel" }]);
await natsReady(nats, new AbortController().signal);
process.stdout.write(`${JSON.stringify(supervisor.pids)}\n`);
