import { fail, pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import { commonNames } from "../probe/common-names.ts";
import type { ForeignKeys } from "../probe/foreign-keys.ts";
import { listText } from "../quantity.ts";
import { wholeDestinations } from "../server-check.ts";
import type { SubjectDestination } from "../subject.ts";

/** Of one lane, see DST-023. */
const MOST_KEPT = 1_000_000;

function judgeEmpty(
  name: string,
  existing: SubjectDestination["existing"],
  foreign: readonly ForeignKeys[],
  hasMark: boolean,
  common: number | null,
): Look {
  if (foreign.length === 0) return pass(`${name} holds no keys of others`);
  const found = `${name} holds ${listText(foreign.map(({ keys, where }) => `${keys} keys ${where}`))}`;
  if (hasMark) return pass(`${found}, and this pipeline's marks: it goes on there`);
  if (existing === "refuse") return fail(found, { expected: "no keys" });
  if (existing === "keep") return judgeKept(found, foreign, common);
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

function withoutNames(name: string, missing: string): Look {
  return fail(`${name} holds this pipeline's marks, and not ${missing}: which keys stood there before can't be told`, {
    expected: "the names of the keys that are kept, beside the marks",
    code: "DST-022",
    fix: "Delete this pipeline's own keys `sluice:{…` there and what it had copied: then all keys that are left are kept. Or start it under another name with another `existing`.",
  });
}

/** `common`: how many of their samples the source has, too; null where it could not be asked. */
function judgeKept(found: string, foreign: readonly ForeignKeys[], common: number | null): Look {
  const keys = foreign.reduce((sum, place) => sum + place.keys, 0);
  const sampled = foreign.reduce((sum, { sample }) => sum + sample.length, 0);
  if (keys > MOST_KEPT) {
    return warn(`${found}, which are kept: more than the ${MOST_KEPT} names that a lane keeps in mind`, {
      expected: `at most ${MOST_KEPT} keys for each lane`,
      code: "DST-023",
      fix: "Say `existing: overwrite`, and see by `keys` that names of the source and of the destination do not meet; or use more `lanes`.",
    });
  }
  if (common === null)
    return pass(`${found}, which are kept; the source could not be asked whether it has some of these names, too`);
  if (common === 0) return pass(`${found}, which are kept: the pipeline never writes to them`);
  return warn(`${found}, which are kept; the source has ${common} of a sample of ${sampled} of these names, too`, {
    expected: "names that the source has not",
    fix: "What the source has under such a name never gets there. Say `existing: overwrite` where it should.",
  });
}

/** As `commonNames`; null where the source can't be asked: its user need not read keys, and other checks tell of one that is away. */
async function commonIfTold(...asked: Parameters<typeof commonNames>): Promise<number | null> {
  try {
    return await commonNames(...asked);
  } catch {
    return null;
  }
}

const text: PrecheckText = {
  id: "destination-empty",
  title: "Keys that a destination holds already are meant to be there",
  why: "With `existing: refuse` a destination must be empty, so that nobody's data is overwritten by mistake.",
  expected: "no keys, or an `existing` that says what becomes of them",
  fix: "Empty the destination, or say `existing: replace` (it ends as the source's equal) or `existing: overwrite`.",
  warns:
    "with `existing: replace` keys will be deleted; with `overwrite` keys that the source lacks stay; with `keep` the source has keys of the same names, by a sample, or there are very many",
  fails:
    "with `existing: refuse` there are keys, and none of this pipeline's marks; with `keep` there are marks, and the names of what is kept are gone",
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
      const { existing } = destination.spec;
      if (existing !== "keep") return judgeEmpty(seed.name, existing, foreign, mark !== null, 0);
      const missing = mark === null ? null : await destination.missingNames();
      if (missing !== null) return withoutNames(seed.name, missing);
      const common = mark === null ? await commonIfTold(context, destination.spec, foreign) : 0;
      return judgeEmpty(seed.name, existing, foreign, mark !== null, common);
    }),
};
