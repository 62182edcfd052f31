import { movingSlotsOf } from "../moving-slots.ts";
import type { Precheck } from "../precheck.ts";

export const sourceSlotsMigrating: Precheck = {
  id: "source-slots-migrating",
  title: "No slot of the source is moving",
  why: "Slots that change hands during the copy make it begin anew for both shards.",
  expected: "no slot on its way from one node to another",
  fix: "Let the move end, or mend one that was broken off: `redis-cli --cluster fix`.",
  warns: "slots are moving",
  fails: null,
  code: "SRC-008",
  run: async ({ source }) => [{ endpoint: source.name, ...(await movingSlotsOf(source)) }],
};
