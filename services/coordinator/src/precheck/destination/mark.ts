import { fail, pass, type Precheck, type PrecheckText } from "../precheck.ts";
import { wholeDestinations } from "../server-check.ts";

const text: PrecheckText = {
  id: "destination-mark",
  title: "What stands at this pipeline's marks can be read",
  why: "The marks say what a destination holds already, and which epochs it has seen.",
  expected: "a mark, or nothing",
  fix: "Make sure that no other pipeline of this name writes there, and delete the key that the message names; or give this pipeline another name.",
  warns: null,
  fails: "something else stands where a mark should be, or the marks can't be read",
  code: "DST-005",
  ifUnknown: "fail",
  isGate: true,
};

export const destinationMark: Precheck = {
  ...text,
  run: async (context) =>
    wholeDestinations(context, text, async (destination) => {
      const seed = await destination.seed();
      if ((await seed.state()).isLoading) return pass(`${seed.name} is loading its data`);
      const mark = await destination.mark();
      if (typeof mark === "string") return fail(mark);
      return pass(mark === null ? "no marks of this pipeline" : `marks of this pipeline up to epoch ${mark.epoch}`);
    }),
};
