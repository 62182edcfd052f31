import { commandTable, isReplicatedWithKeys, keySharing, type KeySharing } from "@sluice/redis";
import { DatabaseMap } from "@sluice/wire";
import { pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import { callsText } from "../quantity.ts";
import { wholeDestinations } from "../server-check.ts";
import type { SubjectDestination } from "../subject.ts";

/** What a filter leaves out of a destination, beside commands by their names. */
export interface FilterFacts {
  readonly spec: Pick<SubjectDestination, "databases" | "existing" | "excluded" | "isFiltered">;
  /** Databases that are copied; null: all. */
  readonly copied: readonly number[] | null;
}

/** With these a key may come into a filter whose value stands outside of it. */
const NOT_TAKEN_APART: ReadonlySet<KeySharing> = new Set([
  "together",
  "writes-first",
  "writes-rest",
  "sorts",
  "renames",
  "copies",
]);
/** Reads, but for their forms with STORE: statistics do not tell these apart. */
const READS_MOSTLY: ReadonlySet<KeySharing> = new Set(["writes-rest", "sorts"]);
/** From database to database, some of which are not copied. */
const BETWEEN_DATABASES = ["MOVE", "COPY", "SWAPDB"];
/** On databases that are one in the destination. */
const ON_MERGED = ["FLUSHDB", "SWAPDB", "MOVE", "COPY", "SETNX", "HSETNX", "MSETNX", "RENAMENX"];
/** Would delete keys that the destination keeps, or bring them into another database. */
const ON_KEPT = ["FLUSHALL", "FLUSHDB", "SFLUSH", "SWAPDB"];

/** `calls`: of the source's clients, by command in capitals. */
export function judgeFilters(calls: ReadonlyMap<string, number>, { spec, copied }: FilterFacts): Look {
  const isKept = spec.existing === "keep";
  const isMerged = mergesAny(spec, copied);
  const isKeyed = spec.isFiltered || isKept;
  if (!isKeyed && !isMerged && copied === null) return pass("the group gets every key");
  const halting = (command: string): boolean =>
    (isKeyed && isOnSeveral(command)) ||
    (isMerged && ON_MERGED.includes(command)) ||
    (isKept && ON_KEPT.includes(command)) ||
    (copied !== null && BETWEEN_DATABASES.includes(command));
  const used = [...calls].filter(([command]) => !spec.excluded.includes(command) && halting(command));
  if (used.length === 0) return pass("clients have used no command that the filter can't take apart");
  const mostlyReads = used.map(([command]) => command).filter((command) => READS_MOSTLY.has(sharingOf(command)));
  const note = mostlyReads.length === 0 ? "" : `; of ${mostlyReads.join(" and ")} only what has STORE counts`;
  return warn(`clients of the source use ${callsText(used)}${note}`);
}

function isOnSeveral(command: string): boolean {
  return NOT_TAKEN_APART.has(sharingOf(command)) && isReplicatedWithKeys(command);
}

/** What no table knows may be a read; whether it can be carried is another check's. */
function sharingOf(command: string): KeySharing {
  const id = commandTable.idOf(command);
  return id < 0 || !isWrite(id) ? "none" : keySharing(id);
}

function isWrite(id: number): boolean {
  return commandTable.definition(id)?.write === true;
}

function mergesAny({ databases }: Pick<SubjectDestination, "databases">, copied: readonly number[] | null): boolean {
  const map = new DatabaseMap(copied, databases);
  return (copied ?? Object.keys(databases).map(Number)).some((db) => map.isMerged(map.targetOf(db)));
}

const text: PrecheckText = {
  id: "destination-filters",
  title: "The filter of every group can take apart what clients do",
  why: "Of a command on keys of both sides of a filter nobody can tell what the destination should hold, unless it changes each key by itself (DEL, UNLINK, MSET). Its lane halts there (PIP-015), whatever `onDivergence` says.",
  expected: "no commands on several keys that the filter could have on both sides",
  fix: "See that the keys which one command uses are on the same side of `keys`, and in the same database. Where they are, all is well: the statistics do not tell which keys were used.",
  warns:
    "a group gets only some keys or databases, and clients have used commands that can't be taken apart (RENAME, SUNIONSTORE, LMOVE, MSETEX, SWAPDB …)",
  fails: null,
  code: "PIP-015",
};

export const destinationFilters: Precheck = {
  ...text,
  applies: ({ subject: { databases, destinations } }) =>
    databases !== null ||
    destinations.some((one) => one.isFiltered || one.existing === "keep" || Object.keys(one.databases).length > 0),
  run: async (context) => {
    const calls = await context.source.calls();
    const { databases: copied } = context.subject;
    return wholeDestinations(context, text, async ({ spec }) => judgeFilters(calls, { spec, copied }));
  },
};
