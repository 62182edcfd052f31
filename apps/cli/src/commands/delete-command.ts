import { createInterface } from "node:readline/promises";
import { OperatorError } from "../operator-error.ts";
import { answer, clientOf, type ApiOptions } from "./asking.ts";

export interface DeleteOptions extends ApiOptions {
  readonly force?: boolean;
  readonly yes?: boolean;
}

/** `sluice delete`: the pipeline's stream and records; what its destinations hold stays. Asks first, unless `yes`. */
export async function deletePipeline(pipeline: string, options: DeleteOptions): Promise<void> {
  const { force = false, yes = false } = options;
  if (!yes) await confirm(pipeline, force);
  const deleted = await clientOf(options).remove(pipeline, force);
  const marks = deleted.marksStay
    ? "\nits destinations keep what they hold, and its marks, keys sluice:{…: a pipeline of the same name begins above them"
    : "";
  answer(options, deleted, `${pipeline} is deleted${marks}`);
}

async function confirm(pipeline: string, force: boolean): Promise<void> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new OperatorError(
      `deleting ${pipeline} has to be confirmed, and there is no terminal to ask at`,
      `sluice delete ${pipeline}${force ? " --force" : ""} --yes`,
      2,
    );
  }
  const lost = force ? " Where it runs, what is stored and not applied is lost." : "";
  const asking = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const said = await asking.question(`This deletes the stream and the records of ${pipeline}.${lost} Its name, to go on: `);
    if (said.trim() !== pipeline) throw new OperatorError(`${pipeline} was not deleted`);
  } finally {
    asking.close();
  }
}
