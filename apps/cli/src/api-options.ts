import type { Command } from "commander";

/** A command that asks the API, with the options that say where it is. `example`: lines of its usage, after `sluice`. */
export function askingCommand(
  program: Command,
  name: string,
  description: string,
  { data, examples }: { data: string; examples: readonly string[] },
): Command {
  return program
    .command(name)
    .description(description)
    .option("--json", "for programs: one object, or one a line where it goes on")
    .optionsGroup("Where to ask:")
    .option("--api <address>", "host:port or https://… (SLUICE_API); otherwise that of the run in the data directory")
    .option("--api-ca <file>", "authority of the API's certificate, PEM (SLUICE_API_CA)")
    .option("--token-file <file>", "token of the API (SLUICE_API_TOKEN, SLUICE_API_TOKEN_FILE)")
    .option("--data <dir>", "data directory of `sluice run`", data)
    .optionsGroup("Options:")
    .addHelpText("after", `\n${examples.map((example) => `  $ sluice ${example}`).join("\n")}`);
}
