import { endpointName } from "@sluice/redis";
import { fail, pass, type Look, type Precheck, type PrecheckText } from "../precheck.ts";
import { groupsMarking } from "../probe/own-marks.ts";
import { wholeDestinations } from "../server-check.ts";

function judgeFormerGroups(pipeline: string, groups: readonly string[]): Look {
  if (groups.length === 0) return pass("no marks of another group of this pipeline");
  const keys = groups.map((group) => `sluice:{…}:${pipeline}:${group}`).join(", ");
  return fail(`group ${groups.join(", ")} of this pipeline wrote there, or does: there are keys ${keys}`);
}

const text: PrecheckText = {
  id: "destination-former-group",
  title: "No other group of the pipeline has written to a destination",
  why: "A writer of the other group that was held up for a while compares with that group's marks alone: it would apply once more what the copy for this group holds already.",
  expected: "no marks (`sluice:{…}`) of another group of this pipeline",
  fix: "Where the other group is taken away for good, delete its keys there, `sluice:{…}:<pipeline>:<group>` and `sluice:{…}:<pipeline>:<group>:…`: then its writers can't write any more. Or give the group its former name; or name another destination.",
  warns: null,
  fails: "marks of another group stand there, such as of one that was taken away, or nobody can tell",
  code: "DST-024",
  ifUnknown: "fail",
};

export const destinationFormerGroup: Precheck = {
  ...text,
  run: async (context) =>
    wholeDestinations(context, text, async (destination) => {
      const seed = await destination.seed();
      if ((await seed.state()).isLoading) return pass(`${seed.name} is loading its data`);
      const { subject } = context;
      // Groups that the pipeline itself sends to one server share it by their keys or databases.
      const here = endpointName(destination.endpoint);
      const own = subject.destinations.filter(({ endpoint }) => endpointName(endpoint) === here).map(({ group }) => group);
      const others = subject.knownGroups.filter((group) => !own.includes(group));
      const groups = await groupsMarking(destination, subject, others);
      for (const group of own) groups.delete(group);
      return judgeFormerGroups(subject.name, [...groups].toSorted());
    }),
};
