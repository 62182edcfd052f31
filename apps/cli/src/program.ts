import { Command, InvalidArgumentError, Option } from "commander";
import { DEFAULT_API_LISTEN, parseDuration } from "@sluice/wire";
import { waitGoals, type WaitGoal } from "./api/wait-for.ts";
import {
  showStatus,
  startPipeline,
  stopPipeline,
  waitForPipeline,
  type ApiOptions,
  type StatusOptions,
} from "./commands/api-command.ts";
import { cutOver, settleFile, type CutoverOptions } from "./commands/cutover-command.ts";
import { runDemo } from "./commands/demo-command.ts";
import { runPipelineFile, type RunOptions } from "./commands/run-command.ts";
import { runOneService, type ServiceOptions } from "./commands/service-command.ts";
import { services, type ServiceName } from "./processes/service-plan.ts";

const DEFAULT_DATA = ".sluice";
const MAX_INSTANCES = 64;

/** The command line of Sluice. `resident` is called by commands that turn this process into a program that ends it itself. */
export function createProgram(resident: () => void): Command {
  const program = new Command("sluice")
    .description("Keeps a Redis deployment in step with one or many others, exactly once, through NATS JetStream.")
    .exitOverride();
  addRunning(program, resident);
  addAsking(program);
  return program;
}

function addRunning(program: Command, resident: () => void): void {
  program
    .command("demo")
    .description("show it on Redis servers of its own: copy, live load, a writer killed, every key compared")
    .helpOption(false)
    .allowUnknownOption()
    .argument("[options...]", "see `sluice demo --help`")
    .action(async (args: string[]) => {
      resident();
      await runDemo(args);
    });
  program
    .command("run")
    .description("run a pipeline with everything it needs, until Ctrl-C")
    .argument("<file>", "pipeline file (YAML)")
    .option("--data <dir>", "where everything is kept", DEFAULT_DATA)
    .option("--writers <n>", "writer processes", instances, 1)
    .option("--ingests <n>", "ingest processes", instances, 1)
    .option("--api <host:port>", "where the API listens; port 0 takes any free one", DEFAULT_API_LISTEN)
    .addOption(
      new Option("--log-level <level>", "of the services").choices(["trace", "debug", "info", "warn", "error"]).default("info"),
    )
    .action(async (file: string, options: RunOptions) => runPipelineFile(file, options));
  program
    .command("service")
    .description("run one service in the foreground, on a NATS that is there already")
    .addArgument(program.createArgument("<service>", "which one").choices(services))
    .option("--nats <url>", "one or several servers, separated by commas (SLUICE_NATS_URL)")
    .option("--instance <name>", "name of this instance, unique among its service's (SLUICE_INSTANCE)")
    .option("--listen <host:port>", "where the coordinator's API listens (SLUICE_API_LISTEN)")
    .action(async (service: ServiceName, options: ServiceOptions) => {
      resident();
      await runOneService(service, options);
    });
}

function addAsking(program: Command): void {
  const asking = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option("--api <host:port>", "where the API is (SLUICE_API); otherwise that of the run in the data directory")
      .option("--data <dir>", "data directory of `sluice run`", DEFAULT_DATA);
  asking("start", "start a pipeline where the services run already, or let it go on")
    .argument("<file>", "pipeline file (YAML)")
    .action(async (file: string, options: ApiOptions) => startPipeline(file, options));
  asking("status", "show a pipeline, or the list of all")
    .argument("[name]", "the pipeline")
    .option("--json", "for programs: one object, or one a line with --watch")
    .option("--watch", "again every second")
    .option("--lanes", "with a line for every lane")
    .action(async (name: string | undefined, options: StatusOptions) => showStatus(name, options));
  asking("wait", "wait until a pipeline has reached a goal")
    .argument("<name>", "the pipeline")
    .addOption(
      new Option("--for <goal>", "drained: it has applied all that the source has written until now")
        .choices(waitGoals)
        .makeOptionMandatory(),
    )
    .option("--timeout <duration>", "give up then", duration, 60_000)
    .action(async (name: string, options: ApiOptions & { for: WaitGoal; timeout: number }) =>
      waitForPipeline(name, options.for, options.timeout, options),
    );
  asking("stop", "stop a pipeline; what is stored is applied first")
    .argument("<name>", "the pipeline")
    .action(async (name: string, options: ApiOptions) => stopPipeline(name, options));
  asking("cutover", "end a migration: wait for the source's clients to stop writing, drain, give expiries their true time")
    .argument("<name>", "the pipeline")
    .option("--force", "without asking the source: settle what the destinations hold, also of a stopped or failed pipeline")
    .option("--no-wait", "only ask for it; `sluice status` shows it")
    .action(async (name: string, options: CutoverOptions) => cutOver(name, options));
  asking("settle", "give expiries their true time where Sluice's records of the pipeline are lost")
    .argument("<file>", "the pipeline file that it was started with")
    .option("--no-wait", "only ask for it; `sluice status` shows it")
    .action(async (file: string, options: CutoverOptions) => settleFile(file, options));
}

function instances(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MAX_INSTANCES) return count;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${MAX_INSTANCES}.`);
}

function duration(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === null) throw new InvalidArgumentError("Expected a duration such as 30s or 5m.");
  return durationMs;
}
