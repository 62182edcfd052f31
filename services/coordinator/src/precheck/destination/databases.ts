import { endpointName } from "@sluice/redis";
import { fail, pass, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import { wholeDestinations } from "../server-check.ts";
import type { SubjectDestination } from "../subject.ts";

export interface DatabaseFacts {
  /** Databases of the source that hold keys. */
  readonly held: readonly number[];
  /** Those that are copied; null: all. */
  readonly copied: readonly number[] | null;
  readonly map: SubjectDestination["databases"];
  readonly isCluster: boolean;
  /** How many the destination has; null where it does not tell. */
  readonly count: number | null;
}

/** `from` and `to`: the two servers by address. */
export function judgeDatabaseNumbers({ held, copied, map, isCluster, count }: DatabaseFacts, from: string, to: string): Look {
  const taken = held.filter((db) => copied?.includes(db) ?? true);
  const targets = taken.map((db) => map[String(db)] ?? db);
  if (isCluster) {
    const others = taken.filter((_, index) => targets[index] !== 0);
    if (others.length === 0) return pass(`${to} is part of a cluster, and only database 0 is written`);
    const found = `${to} is part of a cluster, and ${from} holds keys in database ${others.join(", ")}`;
    return fail(found, { code: "PIP-005", expected: "keys in database 0 only, or a standalone destination" });
  }
  const highest = Math.max(0, ...targets);
  if (count === null || highest < count) return pass(`${count ?? "enough"} databases, and ${highest} is the highest in use`);
  return fail(`${to} has ${count} databases, 0 to ${count - 1}, and database ${highest} would be written`, {
    code: "DST-018",
  });
}

const text: PrecheckText = {
  id: "destination-databases",
  title: "Every destination has the databases that are written",
  why: "A cluster has database 0 only, and another server as many as its redis.conf says; a key for any other can't be written.",
  expected: "a database of the number for every key that is copied",
  fix: "Name the databases to copy (`source.databases`), give them other numbers (`databases` of the destination), or raise `databases` in the destination's redis.conf.",
  warns: null,
  fails: "keys of another database than 0 go to a cluster, or the destination has fewer databases than are needed",
  code: "DST-018",
};

export const destinationDatabases: Precheck = {
  ...text,
  run: async (context) => {
    const { source, subject } = context;
    const held = await source.databases();
    return wholeDestinations(context, text, async (destination) => {
      const [seed, isCluster] = [await destination.seed(), await destination.isCluster()];
      // Every server has 16 unless told otherwise (config.c): only who needs more is asked.
      const isMany = held.some((db) => (destination.spec.databases[String(db)] ?? db) > 0);
      const count = isCluster || !isMany ? null : Number((await seed.setting("databases")) ?? 16);
      const facts = { held, copied: subject.databases, map: destination.spec.databases, isCluster, count };
      return judgeDatabaseNumbers(facts, (await source.seed()).name, endpointName(destination.endpoint));
    });
  },
};
