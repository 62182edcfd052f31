import type { Command } from "commander";
import { askingCommand } from "./api-options.ts";
import { cutOver, settleFile, type CutoverOptions } from "./commands/cutover-command.ts";
import { deletePipeline, type DeleteOptions } from "./commands/delete-command.ts";
import { editPipeline, type EditOptions } from "./commands/edit-command.ts";
import { pausePipeline } from "./commands/pause-command.ts";
import { precheck, type PrecheckOptions } from "./commands/precheck-command.ts";
import { resumePipeline, type ResumeOptions } from "./commands/resume-command.ts";
import { createPipeline, startPipeline, type StartOptions } from "./commands/start-command.ts";
import { stopPipeline, type StopOptions } from "./commands/stop-command.ts";
import type { ApiOptions } from "./commands/asking.ts";
import { checkId, duration, waiver } from "./option-values.ts";

const FILE = "pipeline file (YAML)";
const PIPELINE = "the pipeline";
const STOP_WITHIN_MS = 600_000;
const IGNORE = ["--ignore <id=reason...>", "let these checks warn; kept with the reason"] as const;

/** The commands that change something. */
export function addSteering(program: Command, data: string): void {
  addStarting(program, data);
  addGoingOn(program, data);
  addEnding(program, data);
}

function addStarting(program: Command, data: string): void {
  askingCommand(program, "precheck", "check the servers of a pipeline, and change nothing; exit code 1 when a check fails", {
    data,
    examples: ["precheck pipeline.yaml", "precheck orders --only source-backlog --details", "precheck orders --last"],
  })
    .argument("<file|name>", "pipeline file, or a pipeline that there is")
    .option("--only <id...>", "these checks alone", checkId)
    .option(...IGNORE, waiver)
    .option("--details", "why and fix of every check, and not only of those that warn or fail")
    .option("--last", "what the last run found, without another one")
    .action(async (said: string, options: PrecheckOptions) => precheck(said, options));
  askingCommand(program, "create", "keep a pipeline without starting it", { data, examples: ["create pipeline.yaml"] })
    .argument("<file>", FILE)
    .option(...IGNORE, waiver)
    .action(async (file: string, options: StartOptions) => createPipeline(file, options));
  askingCommand(program, "start", "start a pipeline where the services run already, or let it go on", {
    data,
    examples: [
      "start pipeline.yaml --follow",
      'start pipeline.yaml --ignore source-backlog="it is quiet"',
      "start orders --copy",
    ],
  })
    .argument("<file|name>", "pipeline file, or a pipeline that there is")
    .option(...IGNORE, waiver)
    .option("--copy", "copy everything anew, whatever could be continued; with a name")
    .option("--follow", "show it when it runs, too, until Ctrl-C")
    .option("--no-wait", "only ask for it, and don't wait for its prechecks")
    .action(async (said: string, options: StartOptions) => startPipeline(said, options));
}

function addGoingOn(program: Command, data: string): void {
  askingCommand(program, "pause", "stop applying; what the source writes is stored meanwhile", {
    data,
    examples: ["pause orders"],
  })
    .argument("<name>", PIPELINE)
    .action(async (name: string, options: ApiOptions) => pausePipeline(name, options));
  askingCommand(program, "resume", "go on with a paused or failed pipeline; says first whether it continues or copies anew", {
    data,
    examples: ["resume orders --dry-run", "resume orders", "resume orders --copy"],
  })
    .argument("<name>", PIPELINE)
    .option("--dry-run", "only say what would happen")
    .option("--copy", "copy everything anew, whatever could be continued")
    .option(...IGNORE, waiver)
    .option("--follow", "show it when it runs, too, until Ctrl-C")
    .option("--no-wait", "only ask for it")
    .action(async (name: string, options: ResumeOptions) => resumePipeline(name, options));
  askingCommand(
    program,
    "edit",
    "change endpoints, credentials, policies, limits and groups; says what it will do first, and whether the checkpoint is kept",
    {
      data,
      examples: ["edit pipeline.yaml --dry-run", "edit pipeline.yaml"],
    },
  )
    .argument("<file>", "the pipeline file as it shall be")
    .option("--dry-run", "only say what would happen")
    .action(async (file: string, options: EditOptions) => editPipeline(file, options));
}

function addEnding(program: Command, data: string): void {
  askingCommand(program, "stop", "stop a pipeline; what is stored is applied first", {
    data,
    examples: ["stop orders", "stop orders --within 1h"],
  })
    .argument("<name>", PIPELINE)
    .addOption(
      program
        .createOption("--within <duration>", "how long that may take; what is left then is applied after the next start")
        .argParser(duration)
        .default(STOP_WITHIN_MS, "10m"),
    )
    .action(async (name: string, options: StopOptions) => stopPipeline(name, options));
  askingCommand(program, "delete", "delete a pipeline that does not run: its stream and records, nothing in its destinations", {
    data,
    examples: ["delete orders", "delete orders --force --yes"],
  })
    .argument("<name>", PIPELINE)
    .option("--force", "also one that runs; what is not applied is lost")
    .option("--yes", "don't ask")
    .action(async (name: string, options: DeleteOptions) => deletePipeline(name, options));
  askingCommand(
    program,
    "cutover",
    "end a migration: wait for the source's clients to stop writing, drain, give expiries their true time",
    { data, examples: ["cutover orders"] },
  )
    .argument("<name>", PIPELINE)
    .option("--force", "without asking the source: settle what the destinations hold, also of a stopped or failed pipeline")
    .option("--no-wait", "only ask for it; `sluice status` shows it")
    .action(async (name: string, options: CutoverOptions) => cutOver(name, options));
  askingCommand(program, "settle", "give expiries their true time where Sluice's records of the pipeline are lost", {
    data,
    examples: ["settle pipeline.yaml"],
  })
    .argument("<file>", "the pipeline file that it was started with")
    .option("--no-wait", "only ask for it; `sluice status` shows it")
    .action(async (file: string, options: CutoverOptions) => settleFile(file, options));
}
