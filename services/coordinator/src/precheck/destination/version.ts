import { fail, pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { listText } from "../quantity.ts";
import { wholeDestinations } from "../server-check.ts";
import { FIRST_DESTINATION, lostTypes, rdbVersionOf } from "../versions.ts";

type Version = Pick<ServerState, "version" | "isValkey" | "product">;

/** `calls`: of commands at the source. */
export function judgeVersions(source: Version, destination: Version, calls: ReadonlyMap<string, number>): Look {
  const found = `${source.product} to ${destination.product}`;
  if (destination.version > 0 && destination.version < FIRST_DESTINATION) {
    return fail(`${found}: Redis before 3.0 lacks commands that Sluice writes with`, { fix: "Upgrade the destination." });
  }
  const lost = lostTypes(rdbVersionOf(source), rdbVersionOf(destination));
  const certain = lost.filter(({ madeBy }) => madeBy.length === 0);
  const used = lost.filter(({ madeBy }) => madeBy.some((command) => calls.has(command)));
  const names = (types: typeof lost): string => listText([...new Set(types.map(({ name }) => name))]);
  if (used.length > 0 || certain.length > 0) {
    return fail(`${found}: it can't read values of the kinds ${names([...certain, ...used])}`);
  }
  if (lost.length > 0)
    return warn(`${found}: it could not read values of the kinds ${names(lost)}, which no client has made yet`);
  return pass(`${found}: it reads every kind of value`);
}

const text: PrecheckText = {
  id: "destination-version",
  title: "Every destination reads what the source writes",
  why: "Values are copied in the source's own format. One that the destination can't read halts its lane (DST-006).",
  expected: "a destination of the source's version, or newer",
  fix: "Upgrade the destination to the source's version. Waive it where the source holds strings only, or none of the kinds that are named.",
  warns: "a kind of value that no client has made yet could not be read",
  fails: "the source writes kinds of values that the destination can't read; can be waived",
  code: "DST-006",
  isWaivable: true,
};

export const destinationVersion: Precheck = {
  ...text,
  run: async (context) => {
    const states = await context.source.states();
    const calls = await context.source.calls();
    // The newest of the source's nodes writes what is hardest to read; the oldest of the destination's has to.
    const newest = states.toSorted((a, b) => rdbVersionOf(b) - rdbVersionOf(a))[0];
    return wholeDestinations(context, text, async (destination) => {
      const readers = await Promise.all((await destination.primaries()).map(async (server) => server.state()));
      const oldest = readers.toSorted((a, b) => rdbVersionOf(a) - rdbVersionOf(b))[0];
      if (newest === undefined || oldest === undefined) return warn("no primary tells its version");
      return judgeVersions(newest, oldest, calls);
    });
  },
};
