import { Command, Option } from "commander";
import { DEFAULT_API_LISTEN } from "@sluice/wire";
import { addAsking } from "./asking-commands.ts";
import { runDemo } from "./commands/demo-command.ts";
import { explainCode } from "./commands/explain-command.ts";
import { runPipelineFile, type RunOptions } from "./commands/run-command.ts";
import { printSchema } from "./commands/schema-command.ts";
import { runOneService, type ServiceOptions } from "./commands/service-command.ts";
import { instances, waiver } from "./option-values.ts";
import { services, type ServiceName } from "./processes/service-plan.ts";
import { addSteering } from "./steering-commands.ts";
import { VERSION } from "./version.ts";

/** Where `sluice run` keeps everything unless told otherwise. */
const DEFAULT_DATA = ".sluice";

/** The command line of Sluice. `resident` is called by commands that turn this process into a program that ends it itself. */
export function createProgram(resident: () => void): Command {
  const program = new Command("sluice")
    .description("Keeps a Redis deployment in step with one or many others, exactly once, through NATS JetStream.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print what there is")
    .helpCommand("help [command]", "how to call a command")
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 refused or failed, 2 called wrongly. `sluice help COMMAND` says more of each.",
    )
    .exitOverride();
  program.commandsGroup("To run it:");
  addRunning(program, resident);
  program.commandsGroup("To steer pipelines:");
  addSteering(program, DEFAULT_DATA);
  program.commandsGroup("To see:");
  addAsking(program, DEFAULT_DATA);
  addReference(program);
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
    .option("--ignore <id=reason...>", "start although these checks warn", waiver)
    .addOption(
      new Option("--log-level <level>", "of the services").choices(["trace", "debug", "info", "warn", "error"]).default("info"),
    )
    .addHelpText("after", "\n  $ sluice run pipeline.yaml\n  $ sluice run pipeline.yaml --data /var/lib/sluice --writers 2")
    .action(async (file: string, options: RunOptions) => runPipelineFile(file, options));
  program
    .command("service")
    .description("run one service in the foreground, on a NATS that is there already")
    .addArgument(program.createArgument("<service>", "which one").choices(services))
    .option("--nats <url>", "one or several servers, separated by commas (SLUICE_NATS_URL)")
    .option("--instance <name>", "name of this instance, unique among its service's (SLUICE_INSTANCE)")
    .option("--listen <host:port>", "where the coordinator's API listens (SLUICE_API_LISTEN)")
    .addHelpText("after", "\n  $ sluice service writer --nats nats://10.0.0.5:4222")
    .action(async (service: ServiceName, options: ServiceOptions) => {
      resident();
      await runOneService(service, options);
    });
}

function addReference(program: Command): void {
  program
    .command("explain")
    .description("say what a code means and what to do about it; without one: all codes")
    .argument("[code]", "as errors and states name it, e.g. SRC-001")
    .option("--json", "for programs")
    .addHelpText("after", "\n  $ sluice explain DST-004")
    .action((code: string | undefined, options: { json?: boolean }) => explainCode(code, options));
  program
    .command("schema")
    .description("print the JSON Schema of pipeline files, for editors")
    .action(() => printSchema());
}
