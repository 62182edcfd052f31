import { Option, type Command } from "commander";
import { askingCommand } from "./api-options.ts";
import { waitGoals, type WaitGoal } from "./api/wait-for.ts";
import type { ApiOptions } from "./commands/asking.ts";
import { previewFilters, type FilterOptions } from "./commands/filter-command.ts";
import { showEvents, type EventsOptions } from "./commands/events-command.ts";
import { listPipelines } from "./commands/list-command.ts";
import { showStatus, type StatusOptions } from "./commands/status-command.ts";
import { waitForPipeline } from "./commands/wait-command.ts";
import { duration, eventCount, keyName, sampleSize } from "./option-values.ts";

/** The commands that change nothing. */
export function addAsking(program: Command, data: string): void {
  askingCommand(program, "ls", "list the pipelines", { data, examples: ["ls"] }).action(async (options: ApiOptions) =>
    listPipelines(options),
  );
  askingCommand(program, "status", "show a pipeline, or the list of all", {
    data,
    examples: ["status orders", "status orders --watch", "status orders --json"],
  })
    .argument("[name]", "the pipeline")
    .option("--watch", "again every second, until Ctrl-C")
    .option("--lanes", "with a line for every lane")
    .action(async (name: string | undefined, options: StatusOptions) => showStatus(name, options));
  askingCommand(program, "events", "show what happened to a pipeline, or to all", {
    data,
    examples: ["events orders --last 20", "events orders --follow", "events --follow --json"],
  })
    .argument("[name]", "the pipeline")
    .option("--follow", "also what happens from now on, until Ctrl-C")
    .option("--last <n>", "so many of the newest; without --follow", eventCount, 100)
    .action(async (name: string | undefined, options: EventsOptions) => showEvents(name, options));
  askingCommand(
    program,
    "filter",
    "show what the filters of a pipeline file would do to the source's keys, and change nothing",
    {
      data,
      examples: [
        "filter pipeline.yaml",
        "filter pipeline.yaml --sample 20000",
        "filter pipeline.yaml --key order:1 --key tmp:2",
      ],
    },
  )
    .argument("<file>", "pipeline file (YAML)")
    .option("--sample <n>", "look at about so many keys of the source (1000)", sampleSize)
    .option("--key <name...>", "judge these names and ask no source; `\\xNN` stands for a byte", keyName)
    .action(async (file: string, options: FilterOptions) => previewFilters(file, options));
  askingCommand(program, "wait", "wait until a pipeline has reached a goal", {
    data,
    examples: ["wait orders --for synchronizing --timeout 1h", "wait orders --for drained"],
  })
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
}
