import { fail, pass, warn, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import { pipelinesMarking } from "../probe/own-marks.ts";
import { wholeDestinations } from "../server-check.ts";
import type { SubjectDestination } from "../subject.ts";

function judgeOtherPipelines(names: readonly string[], existing: SubjectDestination["existing"]): Look {
  if (names.length === 0) return pass("no marks of another pipeline");
  const found = `pipeline ${names.join(", ")} writes there, or did`;
  return existing === "replace" ? fail(`${found}, and \`existing: replace\` would delete its keys`) : warn(found);
}

const text: PrecheckText = {
  id: "destination-other-pipeline",
  title: "No other pipeline writes to a destination",
  why: "Two pipelines that write the same keys make a mixture of both that neither source holds.",
  expected: "no marks (`sluice:{…}`) of another pipeline",
  fix: "Name another destination, or see that the two copy different keys. Where the other is over for good, delete its keys `sluice:{…}:<its name>:…` there.",
  warns: "marks of another pipeline stand there",
  fails: "so they do, and `existing: replace` would delete what it wrote; can be waived",
  code: "DST-017",
  isWaivable: true,
};

export const destinationOtherPipeline: Precheck = {
  ...text,
  run: async (context) =>
    wholeDestinations(context, text, async (destination) => {
      const names = await pipelinesMarking(destination, context.subject.others);
      names.delete(context.subject.name);
      return judgeOtherPipelines([...names].toSorted(), destination.spec.existing);
    }),
};
