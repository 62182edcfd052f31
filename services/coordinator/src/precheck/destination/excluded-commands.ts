import { commandTable } from "@sluice/redis";
import { pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import { listText } from "../quantity.ts";
import { wholeDestinations } from "../server-check.ts";

/** What is left out of these stands in no copy either. */
const NO_VALUES = ["PUBLISH", "SPUBLISH", "SCRIPT", "FUNCTION"];
const WHOLE = ["FLUSHALL", "FLUSHDB", "SWAPDB", "FUNCTION", "SFLUSH"];

/**
 * Commands that never reach a destination under their own names, whatever the version of the source, and what comes in their place
 * (Redis t_string.c, t_list.c, t_zset.c, t_stream.c, expire.c; older sources' own forms are rewritten as they are received).
 */
const ARRIVES_AS: Readonly<Record<string, string>> = {
  EXPIRE: "PEXPIREAT",
  PEXPIRE: "PEXPIREAT",
  SETEX: "SET",
  PSETEX: "SET",
  GETEX: "PEXPIREAT or PERSIST",
  GETDEL: "DEL",
  INCRBYFLOAT: "SET",
  HINCRBYFLOAT: "HSET",
  HEXPIRE: "HPEXPIREAT",
  HPEXPIRE: "HPEXPIREAT",
  SPOP: "SREM, DEL or UNLINK",
  BLPOP: "LPOP",
  BRPOP: "RPOP",
  BLMOVE: "LMOVE",
  BRPOPLPUSH: "RPOPLPUSH",
  LMPOP: "LPOP or RPOP",
  BLMPOP: "LPOP or RPOP",
  ZMPOP: "ZPOPMIN or ZPOPMAX",
  BZMPOP: "ZPOPMIN or ZPOPMAX",
  BZPOPMIN: "ZPOPMIN",
  BZPOPMAX: "ZPOPMAX",
  XREADGROUP: "XCLAIM",
};

export interface ExclusionFacts {
  readonly excluded: readonly string[];
  /** Something of the pipeline is copied, at its begin or when changes are lost. */
  readonly isCopied: boolean;
  readonly hasManyLanes: boolean;
}

export function judgeExclusion({ excluded, isCopied, hasManyLanes }: ExclusionFacts): Look {
  if (excluded.length === 0) return pass("no command is left out");
  const nameOf = (said: string): string => said.split(" ")[0] ?? "";
  const idle = excluded.filter((said) => ARRIVES_AS[said] !== undefined).map((said) => `${said} as ${ARRIVES_AS[said]}`);
  const whole = excluded.filter((said) => WHOLE.includes(nameOf(said)));
  const ofValues = excluded.filter((said) => !NO_VALUES.includes(nameOf(said)) && ARRIVES_AS[said] === undefined);
  const unknown = excluded.filter((said) => commandTable.idOf(nameOf(said)) < 0);
  const parts = [
    ...(isCopied && ofValues.length > 0
      ? [`${listText(ofValues)} will be left out of changes, and not of copies: every copy makes the group as the source is`]
      : []),
    ...(idle.length > 0 ? [`some never come under these names, so that nothing is left out: ${idle.join("; ")}`] : []),
    ...(hasManyLanes && whole.length > 0
      ? [`with several lanes ${listText(whole)} halts its shard all the same (PIP-004)`]
      : []),
    ...(unknown.length > 0 ? [`${listText(unknown)} is taken for a module's, which nobody here knows`] : []),
  ];
  return parts.length === 0 ? pass(`${listText(excluded)} is left out`) : warn(parts.join(". Besides, "));
}

const text: PrecheckText = {
  id: "destination-excluded-commands",
  title: "What `commands.exclude` leaves out is meant to be left out",
  why: "A full copy is by values: what a group was spared by leaving out DEL or FLUSHALL is gone there after the next copy, or a repair, which come by themselves when changes are lost. Until then later commands may find other values than at the source, and fail (`onDivergence`). Names are those under which changes are replicated.",
  expected: "no `commands.exclude`, or one whose effect is known to be for a while only",
  fix: "Waive this where it is meant. `mode: changes` never copies. `onBacklogLost: halt` lets an operator decide before most copies.",
  warns:
    "a group is spared commands that change keys, and copies bring back what they did; or a name never comes in a stream, or halts all the same",
  fails: null,
  code: "PIP-015",
};

export const destinationExcludedCommands: Precheck = {
  ...text,
  applies: ({ subject }) => subject.destinations.some(({ excluded }) => excluded.length > 0),
  run: async (context) => {
    const { source, destinations, subject } = context;
    const isToClusters = (await Promise.all(destinations.map(async (one) => one.isCluster()))).every((is) => is);
    const hasManyLanes = subject.lanes > 1 && ((await source.isCluster()) || isToClusters);
    const isCopied = subject.mode !== "changes";
    return wholeDestinations(context, text, async ({ spec: { excluded } }) =>
      judgeExclusion({ excluded, isCopied, hasManyLanes }),
    );
  },
};
