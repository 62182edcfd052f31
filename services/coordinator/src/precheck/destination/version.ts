import type { DestinationSpec } from "@sluice/wire";
import { fail, pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import { listText } from "../quantity.ts";
import { wholeDestinations } from "../server-check.ts";
import { FIRST_DESTINATION, lostKinds, serverOf } from "../versions.ts";

type Version = Pick<ServerState, "version" | "isValkey" | "product" | "text">;

/** `calls`: of commands at the source. `unsupported`: what becomes of what the destination can't hold. */
export function judgeVersions(
  source: Version,
  destination: Version,
  calls: ReadonlyMap<string, number>,
  unsupported: DestinationSpec["unsupported"] = "halt",
): Look {
  const found = `${source.product} to ${destination.product}`;
  if (destination.version > 0 && destination.version < FIRST_DESTINATION) {
    return fail(`${found}: Redis before 3.0 lacks commands that Sluice writes with`, { fix: "Upgrade the destination." });
  }
  const lost = lostKinds(serverOf(source), serverOf(destination));
  const used = lost.filter(({ madeBy }) => madeBy.some((command) => calls.has(command)));
  const names = (kinds: typeof lost): string => listText(kinds.map(({ name }) => name));
  if (used.length > 0 && unsupported === "halt") return fail(`${found}: it can't hold ${names(used)}`);
  if (used.length > 0) return warn(`${found}: it can't hold ${names(used)}, which are left out`);
  if (lost.length > 0) return warn(`${found}: it could not hold ${names(lost)}, which no client has made yet`);
  return pass(`${found}: it holds every kind of value`);
}

const text: PrecheckText = {
  id: "destination-version",
  title: "Every destination can hold what the source holds",
  why: "A value goes in the source's own format where the destination reads that, and is built from its elements where it does not. What an older version has no room for in any form halts its lane (DST-006), or is left out.",
  expected: "a destination that knows every kind of value that the source holds",
  fix: "Upgrade the destination. With `unsupported: skip` the pipeline leaves out what the destination can't hold, and counts it.",
  warns: "a kind of value that no client has made yet could not be held, or is left out as `unsupported: skip` says",
  fails: "clients make kinds of values that the destination can't hold; can be waived",
  code: "DST-006",
  isWaivable: true,
};

export const destinationVersion: Precheck = {
  ...text,
  run: async (context) => {
    const states = await context.source.states();
    const calls = await context.source.calls();
    // The newest of the source's nodes holds what is hardest to hold; the oldest of the destination's has to.
    const newest = states.toSorted((a, b) => serverOf(b).version - serverOf(a).version)[0];
    return wholeDestinations(context, text, async (destination) => {
      const holders = await Promise.all((await destination.primaries()).map(async (server) => server.state()));
      const oldest = holders.toSorted((a, b) => serverOf(a).version - serverOf(b).version)[0];
      if (newest === undefined || oldest === undefined) return warn("no primary tells its version");
      return judgeVersions(newest, oldest, calls, destination.spec.unsupported);
    });
  },
};
