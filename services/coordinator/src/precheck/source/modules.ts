import { commandTable } from "@sluice/redis";
import { fail, pass, warn, type Look, type Precheck } from "../precheck.ts";
import { commandRows } from "../probe/command-rows.ts";
import { loadedModules } from "../probe/loaded-modules.ts";
import { callsText } from "../quantity.ts";

type Calls = readonly (readonly [command: string, count: number])[];

/** `writes`: commands that change data, that clients have used, and that Sluice does not know. */
export function judgeModules(modules: readonly string[], writes: Calls): Look {
  const loaded = modules.length === 0 ? "no modules" : `modules ${modules.join(", ")}`;
  if (writes.length > 0) return fail(`${loaded}; clients use ${callsText(writes)}`, { code: "SRC-013" });
  return modules.length === 0
    ? pass(loaded)
    : warn(`${loaded}, and all writes that clients have used since the server's statistics began are known`);
}

export const sourceModules: Precheck = {
  id: "source-modules",
  title: "The source's data needs no modules",
  why: "Values of modules are copied as they are, which needs the same modules in the destination. Commands of theirs that Sluice does not know can't be carried, and halt the shard (SRC-006).",
  expected: "no modules, or modules whose writes Sluice knows",
  fix: "Take the clients that write with these commands elsewhere, or keep the pipeline to keys without them (`keys`).",
  warns: "modules are loaded, and no client has used a write that Sluice does not know",
  fails: "clients use writes that Sluice does not know; can be waived",
  code: "SRC-013",
  isWaivable: true,
  run: async ({ source }) => {
    const seed = await source.seed();
    const calls = await source.calls();
    const unknown = [...calls.keys()].filter((command) => commandTable.idOf(command) < 0);
    const rows = await commandRows(seed, unknown);
    const writes = [...calls].filter(([command]) => rows.get(command)?.isWrite === true);
    return [{ endpoint: source.name, ...judgeModules([...(await loadedModules(seed)).keys()], writes) }];
  },
};
