import { fail, pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import type { ForeignKeys } from "../probe/foreign-keys.ts";
import { listText } from "../quantity.ts";
import { wholeDestinations } from "../server-check.ts";
import type { SubjectDestination } from "../subject.ts";

function judgeEmpty(
  name: string,
  existing: SubjectDestination["existing"],
  foreign: readonly ForeignKeys[],
  hasMark: boolean,
): Look {
  if (foreign.length === 0) return pass(`${name} holds no keys of others`);
  const found = `${name} holds ${listText(foreign.map(({ keys, where }) => `${keys} keys ${where}`))}`;
  if (hasMark) return pass(`${found}, and this pipeline's marks: it goes on there`);
  if (existing === "refuse") return fail(found, { expected: "no keys" });
  if (existing === "keep") return pass(`${found}, which stay as they are`);
  if (existing === "replace") {
    return warn(`${found}; of these, what the source does not hold will be deleted`, {
      expected: "no keys that are still needed there",
      fix: "Make sure that nobody needs them; or say `existing: overwrite`, which deletes none.",
    });
  }
  return warn(
    `${found}; they are overwritten where the source has the same, and the others stay, however often it is copied anew`,
    {
      expected: "no keys that would be taken for the source's",
      fix: "Say `existing: replace` where the destination is to end as the source's equal.",
    },
  );
}

const text: PrecheckText = {
  id: "destination-empty",
  title: "Keys that a destination holds already are meant to be there",
  why: "With `existing: refuse` a destination must be empty, so that nobody's data is overwritten by mistake.",
  expected: "no keys, or an `existing` that says what becomes of them",
  fix: "Empty the destination, or say `existing: replace` (it ends as the source's equal) or `existing: overwrite`.",
  warns: "with `existing: replace` keys will be deleted; with `overwrite` keys that the source lacks stay",
  fails: "with `existing: refuse` there are keys, and none of this pipeline's marks",
  code: "DST-009",
  ifUnknown: "fail",
};

export const destinationEmpty: Precheck = {
  ...text,
  run: async (context) =>
    wholeDestinations(context, text, async (destination) => {
      const seed = await destination.seed();
      if ((await seed.state()).isLoading) return pass(`${seed.name} is loading its data`);
      const [foreign, mark] = [await destination.foreign(), await destination.mark()];
      return judgeEmpty(seed.name, destination.spec.existing, foreign, mark !== null);
    }),
};
