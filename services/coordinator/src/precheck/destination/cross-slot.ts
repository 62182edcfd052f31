import { pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import { callsText } from "../quantity.ts";
import { wholeDestinations } from "../server-check.ts";

/** Writes whose keys may be in several slots, and which can't be taken apart key by key as DEL, UNLINK and MSET are. */
const SEVERAL_KEYS = new Set(
  [
    "BITOP BLMOVE BLMPOP BRPOPLPUSH BZMPOP COPY GEORADIUS GEORADIUSBYMEMBER GEOSEARCHSTORE LMOVE LMPOP MSETNX PFMERGE RENAME",
    "RENAMENX RPOPLPUSH SDIFFSTORE SINTERSTORE SMOVE SORT SUNIONSTORE ZDIFFSTORE ZINTERSTORE ZMPOP ZRANGESTORE ZUNIONSTORE",
  ].flatMap((names) => names.split(" ")),
);
const WHOLE = ["MULTI", "EVAL", "EVALSHA", "FCALL"];

function judgeCrossSlot(calls: ReadonlyMap<string, number>): Look {
  const several = [...calls].filter(([command]) => SEVERAL_KEYS.has(command));
  const whole = [...calls].filter(([command]) => WHOLE.includes(command));
  if (several.length > 0) return warn(`clients of the source use ${callsText([...several, ...whole])}`);
  if (whole.length > 0) {
    return pass(
      `clients use ${callsText(whole)}: each slot's part of a transaction is applied whole, readers may see one part first`,
    );
  }
  return pass("no client has used a command on keys of several slots");
}

const text: PrecheckText = {
  id: "destination-cross-slot",
  title: "Commands on several keys fit into a cluster",
  why: "A standalone source takes keys of any slots in one command; a cluster does not. What can't be taken apart halts its lane, or is repaired from the source, as `onDivergence` says.",
  expected: "commands on several keys only with keys of one slot (`{tag}`)",
  fix: "Give keys that are used together a common hash tag, or say `onDivergence: repair`, which takes such keys from the source.",
  warns: "a standalone source feeds a cluster, and clients use commands on several keys",
  fails: null,
  code: "DST-014",
};

export const destinationCrossSlot: Precheck = {
  ...text,
  run: async (context) => {
    const isFromCluster = await context.source.isCluster();
    const calls = await context.source.calls();
    return wholeDestinations(context, text, async (destination) => {
      if (isFromCluster) return pass("the source is a cluster itself");
      return (await destination.isCluster()) ? judgeCrossSlot(calls) : pass("a standalone destination takes keys of any slots");
    });
  },
};
