import { stat } from "node:fs/promises";
import { NAME } from "@sluice/wire";
import { readPipeline, type WrittenPipeline } from "./read-pipeline.ts";

/** A pipeline that there is, by its name (`written` is null), or one that stands in a file. */
export type PipelineTarget = WrittenPipeline | { readonly name: string; readonly written: null };

/** Reads `FILE|NAME`: what can be a name and is no file is one. Throws `OperatorError` as `readPipeline`. */
export async function pipelineTarget(said: string, environment: NodeJS.ProcessEnv): Promise<PipelineTarget> {
  if (NAME.test(said) && !(await isFile(said))) return { name: said, written: null };
  return readPipeline(said, environment);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => !found.isDirectory(),
    () => false,
  );
}
