import { CommandKind, commandTable } from "@sluice/redis";

const CARRIED: ReadonlySet<number> = new Set([CommandKind.write, CommandKind.barrier, CommandKind.script, CommandKind.publish]);
const LINE = 118;

/** Names of commands for the reader of pipeline files, which has no command table. */
export function commandNamesSource(): string {
  const all = commandTable.names
    .map((name, id) => ({ name, isCarried: CARRIED.has(commandTable.kind[id] as number), id }))
    // What others are wrapped in on their way is nobody's command.
    .filter(({ name }) => !name.startsWith("SLUICE."));
  const named = (isCarried: boolean): string[] => all.filter((one) => one.isCarried === isCarried).map(({ name }) => name);
  const containers = all.flatMap(({ name, id, isCarried }) => {
    const { subcommands = [] } = commandTable.definition(id) ?? {};
    return isCarried && subcommands.length > 0 ? [`  ${name}: ${JSON.stringify([...subcommands].toSorted().join(" "))},`] : [];
  });
  return [
    "// Written by `npm run reference` from the command table of libs/redis; do not edit.",
    "/** Commands that a stream of changes may carry, in capitals. */",
    ...listOf("carriedCommands", named(true)),
    "",
    "/** Other commands that servers know: they change nothing, or mean nothing elsewhere. */",
    ...listOf("otherCommands", named(false)),
    "",
    "/** Subcommands of the carried ones, between blanks. */",
    "export const subcommandsOf: Readonly<Record<string, string>> = {",
    ...containers.toSorted(),
    "};",
    "",
  ].join("\n");
}

function listOf(constant: string, names: readonly string[]): string[] {
  const lines: string[] = [];
  for (const name of [...names].toSorted()) {
    const last = lines.at(-1);
    if (last === undefined || last.length + name.length + 1 > LINE) lines.push(name);
    else lines[lines.length - 1] = `${last} ${name}`;
  }
  return [
    `export const ${constant}: readonly string[] = [`,
    ...lines.map((line) => `  ${JSON.stringify(line)},`),
    '].flatMap((line) => line.split(" "));',
  ];
}
