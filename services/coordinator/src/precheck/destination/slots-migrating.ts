import { movingSlotsOf } from "../moving-slots.ts";
import type { Precheck, PrecheckText } from "../precheck.ts";
import { wholeDestinations } from "../server-check.ts";

const text: PrecheckText = {
  id: "destination-slots-migrating",
  title: "No slot of a destination is moving",
  why: "Writers follow slots that move, more slowly; at the cut-over expiries in such slots can't be settled for certain (DST-013).",
  expected: "no slot on its way from one node to another",
  fix: "Let the move end, or mend one that was broken off: `redis-cli --cluster fix`.",
  warns: "slots are moving",
  fails: null,
  code: "DST-013",
};

export const destinationSlotsMigrating: Precheck = {
  ...text,
  run: async (context) => wholeDestinations(context, text, async (destination) => movingSlotsOf(destination)),
};
