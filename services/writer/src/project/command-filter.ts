import { commandTable, type FramedCommand } from "@sluice/redis";

/** Every subcommand of a container, or the command whole. */
const WHOLE = null;
const MAX_NAME = 64;
/** What a command that is in no table travels in, see `encodeKeyed`: arguments in front of it. */
const CARRIERS: ReadonlySet<number> = new Set(["SLUICE.KEYED", "SLUICE.KEYED-ALONE"].map((name) => commandTable.idOf(name)));
const CARRIER_ARGS = 2;

/** The commands that a writer group does not get, by their names: `commands.exclude` of its destination. */
export class CommandFilter {
  /** By the number of the command; subcommands in capitals. */
  readonly #known = new Map<number, Set<string> | typeof WHOLE>();
  /** Of modules, in capitals; no table knows them. */
  readonly #unknown = new Set<string>();

  /** `excluded`: as the schema of a pipeline gives them, in capitals with one blank before a subcommand. */
  constructor(excluded: readonly string[]) {
    for (const said of excluded) {
      const [name = "", subcommand] = said.split(" ");
      const id = commandTable.idOf(name);
      if (id < 0) this.#unknown.add(said);
      else if (subcommand === undefined) this.#known.set(id, WHOLE);
      else if (this.#known.get(id) !== WHOLE) this.#known.set(id, (this.#known.get(id) ?? new Set()).add(subcommand));
    }
  }

  /** It leaves nothing out. */
  get isEmpty(): boolean {
    return this.#known.size + this.#unknown.size === 0;
  }

  excludes(command: FramedCommand): boolean {
    const id = commandTable.idOfCommand(command);
    if (id < 0 || CARRIERS.has(id)) return this.#unknown.size > 0 && this.#excludesUnknown(command, id < 0 ? 0 : CARRIER_ARGS);
    const excluded = this.#known.get(id);
    if (excluded === undefined) return false;
    return excluded === WHOLE || excluded.has(wordAt(command, 1));
  }

  #excludesUnknown(command: FramedCommand, at: number): boolean {
    const name = wordAt(command, at);
    return this.#unknown.has(name) || (command.argc > at + 1 && this.#unknown.has(`${name} ${wordAt(command, at + 1)}`));
  }
}

/** Which argument is the command's name: 0, unless it travels in a carrier. */
export function nameAt(command: FramedCommand): number {
  return CARRIERS.has(commandTable.idOfCommand(command)) ? CARRIER_ARGS : 0;
}

/** In capitals; empty where there is none, and of what is too long to be a name. */
function wordAt({ argc, argStarts, argLengths, buffer }: FramedCommand, at: number): string {
  if (at >= argc) return "";
  const [start, length] = [argStarts[at] as number, argLengths[at] as number];
  return length > MAX_NAME ? "" : buffer.toString("latin1", start, start + length).toUpperCase();
}
