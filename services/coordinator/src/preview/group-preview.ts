import { setImmediate as turn } from "node:timers/promises";
import { KeyFilter } from "@sluice/redis";
import {
  DatabaseMap,
  isOwnKey,
  NOWHERE,
  type DatabasePreview,
  type DestinationSpec,
  type GroupPreview,
  type NamePreview,
  type PatternPreview,
} from "@sluice/wire";
import { hintedNames, patternHint } from "./pattern-hint.ts";
import { shownKey } from "./shown-key.ts";

/** What was looked at of one database of one server. */
export interface SampledDatabase {
  readonly db: number;
  /** All that are there, by the server's own count. */
  readonly keys: number;
  /** Names of some, or all, of them, each once. */
  readonly sample: readonly Buffer[];
}

type Filter = Pick<DestinationSpec, "group" | "databases" | "keys" | "commands">;

/** Keys that are judged before others have their turn: a service that lets nobody have one for 3 s loses its leases. */
const KEYS_IN_A_ROW = 100;
/** Patterns that match nothing for which it is looked what may have been meant. */
const MOST_HINTS = 20;
/** Names that are shown of what a pattern decides. */
const SHOWN_NAMES = 5;

/** A pattern with what the sample says of it so far. */
interface Tally {
  readonly list: "include" | "exclude";
  readonly pattern: string;
  matched: number;
  decided: number;
  readonly names: string[];
}

/** What a group would get of these databases. `copied`: those that the pipeline names; null: all. */
export async function groupPreview(
  spec: Filter,
  copied: readonly number[] | null,
  sampled: readonly SampledDatabase[],
): Promise<GroupPreview> {
  const filter = new KeyFilter(spec.keys);
  const databases = new DatabaseMap(copied, spec.databases ?? {});
  const include = spec.keys.include.map((pattern) => tallyOf("include", pattern));
  const exclude = spec.keys.exclude.map((pattern) => tallyOf("exclude", pattern));
  const unmatched = { count: 0, names: [] as string[] };
  let own = 0;
  const rows = new Map<number, DatabasePreview>();
  for (const { db, keys, sample } of sampled) {
    const target = databases.targetOf(db);
    if (target === NOWHERE) {
      addTo(rows, { db, target: null, keys, sampled: 0, taken: 0, share: null, estimatedKeys: 0 });
      continue;
    }
    let taken = 0;
    for (const [at, key] of sample.entries()) {
      if (at % KEYS_IN_A_ROW === 0) await turn();
      if (isOwnKey(key)) {
        own++;
        continue;
      }
      const { isIn, included, excluded } = filter.judge(key);
      const matching = filter.matching(key);
      for (const at of matching.include) (include[at] as Tally).matched++;
      for (const at of matching.exclude) (exclude[at] as Tally).matched++;
      if (isIn) taken++;
      const decisive = excluded >= 0 ? exclude[excluded] : include[included];
      if (decisive !== undefined) {
        decisive.decided++;
        show(decisive.names, key);
      } else if (include.length > 0) {
        unmatched.count++;
        show(unmatched.names, key);
      }
    }
    const estimatedKeys = sample.length === 0 ? 0 : Math.round((keys * taken) / sample.length);
    addTo(rows, { db, target, keys, sampled: sample.length, taken, share: null, estimatedKeys });
  }
  const all = sampled.filter(({ db }) => databases.targetOf(db) !== NOWHERE).flatMap(({ sample }) => sample);
  const list = [...rows.values()].toSorted((a, b) => a.db - b.db);
  return {
    group: spec.group,
    databases: list.map((row) => ({ ...row, share: row.sampled === 0 ? null : row.taken / row.sampled })),
    estimatedKeys: list.reduce((sum, row) => sum + row.estimatedKeys, 0),
    patterns: await withHints([...include, ...exclude], all),
    unmatched,
    own,
    excludedCommands: spec.commands.exclude,
  };
}

/** What the patterns of each group say of names, whatever database these are in. */
export async function namePreviews(specs: readonly Filter[], names: readonly Buffer[]): Promise<NamePreview[]> {
  const filters = specs.map(({ group, keys }) => ({ group, keys, filter: new KeyFilter(keys) }));
  const previews: NamePreview[] = [];
  for (const [at, name] of names.entries()) {
    if (at % KEYS_IN_A_ROW === 0) await turn();
    previews.push(namePreview(filters, name));
  }
  return previews;
}

function namePreview(
  filters: readonly (Pick<Filter, "group" | "keys"> & { readonly filter: KeyFilter })[],
  key: Buffer,
): NamePreview {
  const groups = filters.map(({ group, keys, filter }) => {
    const { isIn, included, excluded } = filter.judge(key);
    const [list, pattern] =
      excluded >= 0
        ? (["exclude", keys.exclude[excluded]] as const)
        : included >= 0
          ? (["include", keys.include[included]] as const)
          : [null, null];
    return { group, isTaken: isIn && !isOwnKey(key), list, pattern: pattern ?? null };
  });
  return { name: shownKey(key), groups };
}

function tallyOf(list: Tally["list"], pattern: string): Tally {
  return { list, pattern, matched: 0, decided: 0, names: [] };
}

function show(names: string[], key: Buffer): void {
  if (names.length < SHOWN_NAMES) names.push(shownKey(key));
}

async function withHints(tallies: readonly Tally[], sample: readonly Buffer[]): Promise<PatternPreview[]> {
  const silent = tallies.filter(({ matched }) => matched === 0).slice(0, sample.length === 0 ? 0 : MOST_HINTS);
  const names = hintedNames(silent.length === 0 ? [] : sample);
  const hints = new Map<Tally, string | null>();
  for (const tally of silent) {
    await turn();
    hints.set(tally, patternHint(tally.pattern, names));
  }
  return tallies.map((tally) => ({ ...tally, hint: hints.get(tally) ?? null }));
}

/** Several servers of a cluster hold keys of one database. */
function addTo(rows: Map<number, DatabasePreview>, row: DatabasePreview): void {
  const before = rows.get(row.db);
  rows.set(row.db, {
    ...row,
    keys: row.keys + (before?.keys ?? 0),
    sampled: row.sampled + (before?.sampled ?? 0),
    taken: row.taken + (before?.taken ?? 0),
    estimatedKeys: row.estimatedKeys + (before?.estimatedKeys ?? 0),
  });
}
