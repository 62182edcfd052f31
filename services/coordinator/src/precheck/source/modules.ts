import { commandInfoRequest, commandTable, unknownCommand, UnknownCommandError, type Reply } from "@sluice/redis";
import { fail, pass, warn, type Look, type Precheck } from "../precheck.ts";
import { commandRow } from "../probe/command-rows.ts";
import { loadedModules } from "../probe/loaded-modules.ts";
import { callsText } from "../quantity.ts";

type Calls = readonly (readonly [command: string, count: number])[];

/**
 * Both are commands that change data, that clients have used, and that are in no table of Sluice's. `described`: the source says where their keys stand;
 * `unplaced`: it does not.
 */
export function judgeModules(modules: readonly string[], unplaced: Calls, described: Calls): Look {
  const loaded = modules.length === 0 ? "no modules" : `modules ${modules.join(", ")}`;
  if (unplaced.length > 0) return fail(`${loaded}; clients use ${callsText(unplaced)}`, { code: "SRC-013" });
  if (described.length > 0)
    return warn(`${loaded}; clients use ${callsText(described)}, which are carried by what the source says of their keys`);
  return modules.length === 0
    ? pass(loaded)
    : warn(`${loaded}, and all writes that clients have used since the server's statistics began are known`);
}

/** Whether the source says of a write where its keys stand, in its element of COMMAND INFO. */
export function isDescribed(name: string, row: Reply | undefined): boolean {
  try {
    unknownCommand(name, row);
    return true;
  } catch (cause) {
    if (cause instanceof UnknownCommandError) return false;
    throw cause;
  }
}

export const sourceModules: Precheck = {
  id: "source-modules",
  title: "The source's data needs no modules",
  why: "Values of modules are copied as they are, which needs the same modules in the destination. Writes of theirs that Sluice does not know are carried by what the source says of their keys (COMMAND); without that they halt the shard (SRC-006).",
  expected: "no modules, or modules whose writes Sluice or the source can place",
  fix: "Take the clients that write with these commands elsewhere, or keep the pipeline to keys without them (`keys`).",
  warns: "modules are loaded, and Sluice or the source can place all writes that clients have used",
  fails: "clients use writes of which neither Sluice nor the source can tell the keys; can be waived",
  code: "SRC-013",
  isWaivable: true,
  run: async ({ source }) => {
    const seed = await source.seed();
    const calls = await source.calls();
    const unknown = [...calls.keys()].filter((command) => commandTable.idOf(command) < 0);
    const reply = unknown.length === 0 ? [] : await seed.ask(...commandInfoRequest(unknown));
    const rows = new Map(unknown.map((name, index) => [name, Array.isArray(reply) ? reply[index] : undefined]));
    const writes = [...calls].filter(([name]) => commandRow(rows.get(name) ?? null)?.isWrite === true);
    const described = writes.filter(([name]) => isDescribed(name, rows.get(name)));
    const unplaced = writes.filter((write) => !described.includes(write));
    const modules = [...(await loadedModules(seed)).keys()];
    return [{ endpoint: source.name, ...judgeModules(modules, unplaced, described) }];
  },
};
