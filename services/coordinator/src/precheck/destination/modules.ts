import { pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import { loadedModules } from "../probe/loaded-modules.ts";
import { listText } from "../quantity.ts";
import { wholeDestinations } from "../server-check.ts";

type Modules = ReadonlyMap<string, number>;

export function judgeModulesThere(source: Modules, destination: Modules): Look {
  if (source.size === 0) return pass("the source has no modules");
  const missing = [...source.keys()].filter((name) => !destination.has(name));
  const older = [...source].filter(([name, version]) => (destination.get(name) ?? version) < version).map(([name]) => name);
  if (missing.length > 0) return warn(`it lacks the modules ${listText(missing)} of the source`);
  return older.length > 0
    ? warn(`its modules ${listText(older)} are older than the source's`)
    : pass("it has the source's modules");
}

const text: PrecheckText = {
  id: "destination-modules",
  title: "Every destination has the source's modules",
  why: "A value of a module is read by that module only: without it the copy halts at the first one (DST-006). Indexes and other settings of modules are not copied.",
  expected: "the source's modules, in the same version or a newer one",
  fix: "Load the modules that are missing, or leave out the keys that need them (`keys`).",
  warns: "a module of the source is missing, or older",
  fails: null,
  code: "DST-006",
};

export const destinationModules: Precheck = {
  ...text,
  run: async (context) => {
    const source = await loadedModules(await context.source.seed());
    return wholeDestinations(context, text, async (destination) =>
      judgeModulesThere(source, source.size === 0 ? new Map() : await loadedModules(await destination.seed())),
    );
  },
};
