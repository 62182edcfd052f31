import { keySlot } from "@sluice/redis";
import { SlotSet } from "@sluice/wire";
import type { PrecheckContext } from "../precheck.ts";
import type { SubjectDestination } from "../subject.ts";
import type { ForeignKeys } from "./foreign-keys.ts";

/** Databases of the source that are looked into. */
const MOST_DATABASES = 16;

/**
 * How many of the sampled keys of a destination the source has under the same name, where they would meet. A sample: that there
 * is none says little of the others. 0 also where only some keys go there.
 */
export async function commonNames(
  { source, subject }: Pick<PrecheckContext, "source" | "subject">,
  { databases, isFiltered }: SubjectDestination,
  foreign: readonly ForeignKeys[],
): Promise<number> {
  if (isFiltered || foreign.length === 0) return 0;
  const there = await source.databases();
  const copied = there.filter((db) => subject.databases?.includes(db) !== false).slice(0, MOST_DATABASES);
  const found = await Promise.all(
    (await source.primaries()).map(async (server) => {
      const slots = SlotSet.parse(server.slots);
      return server.alone(async (connection) => {
        let count = 0;
        for (const db of copied) {
          const target = databases[db] ?? db;
          const names = foreign.filter((place) => place.db === target).flatMap(({ sample }) => sample);
          const keys = names.map((name) => Buffer.from(name, "latin1")).filter((key) => slots.has(keySlot(key)));
          if (keys.length === 0) continue;
          if (copied.length > 1 || db !== 0) await connection.call(["SELECT", String(db)]);
          const answers = await Promise.all(keys.map(async (key) => connection.call(["EXISTS", key])));
          count += answers.filter((answer) => Number(answer) > 0).length;
        }
        return count;
      });
    }),
  );
  return found.reduce((sum, count) => sum + count, 0);
}
