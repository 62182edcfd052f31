import { parseArgs } from "node:util";
import { setup as compilePrograms } from "../e2e/compiled-programs.ts";
import { runChaos, type ChaosOptions, type ChaosReport } from "./chaos.ts";
import { topologies, type Topology } from "./faults/fault.ts";

const USAGE = `npm run chaos -- [--minutes 10] [--seed N] [--topology ss|sc|cc] [--rate 1000] [--keys 3000] [--rounds N] [--only TEXT]

Runs a whole deployment, lets things go wrong as the seed says, and compares. Exit code 0 if all was right, 1 if not.`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    topology: { type: "string", default: "cc" },
    rate: { type: "string", default: "1000" },
    keys: { type: "string", default: "3000" },
    rounds: { type: "string", default: "1000000" },
    only: { type: "string", default: "" },
    help: { type: "boolean", default: false },
  },
});

function positive(name: "minutes" | "seed" | "rate" | "keys" | "rounds"): number {
  const value = Number(values[name]);
  if (!(value > 0)) throw new RangeError(`--${name} is ${JSON.stringify(values[name])}; expected a number above 0\n${USAGE}`);
  return value;
}

function topology(): Topology {
  const known = topologies.find((name) => name === values.topology);
  if (known === undefined) throw new RangeError(`--topology is ${JSON.stringify(values.topology)}\n${USAGE}`);
  return known;
}

function print(report: ChaosReport, options: ChaosOptions): void {
  const applied = Object.entries(report.faults);
  const total = applied.reduce((sum, [, count]) => sum + count, 0);
  const lines = [
    "",
    `seed ${options.seed}, ${options.topology}: ${total} faults`,
    ...applied.map(([name, count]) => `${String(count).padStart(6)}  ${name}`),
    `${report.commandsPerSecond} commands/s, ${report.transitions} transitions of marks, ${report.watermarkSetBacks} watermarks taken back, epoch ${report.epoch}, ${report.serviceRestarts} services started again`,
    ...report.wrong.map((text) => `WRONG: ${text}`),
    report.wrong.length === 0 ? "identical" : `NOT as it should be; logs in ${report.logDir}`,
  ];
  console.log(lines.join("\n"));
}

if (values.help) {
  console.log(USAGE);
} else {
  const options: ChaosOptions = {
    topology: topology(),
    seed: positive("seed"),
    seconds: positive("minutes") * 60,
    ratePerSecond: positive("rate"),
    keys: positive("keys"),
    rounds: positive("rounds"),
    only: values.only,
    services: { ingest: 2, writer: 3, router: 2, coordinator: 2 },
    longestCalmMs: 8000,
    print: (line) => console.log(line),
  };
  await compilePrograms();
  const report = await runChaos(options);
  print(report, options);
  process.exitCode = report.wrong.length === 0 ? 0 : 1;
}
