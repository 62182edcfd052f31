import type { EditAnswer } from "@sluice/wire";
import { readPipeline } from "../read-pipeline.ts";
import { printable } from "../view/printable.ts";
import { answer, clientOf, type ApiOptions } from "./asking.ts";

export interface EditOptions extends ApiOptions {
  readonly dryRun?: boolean;
}

/**
 * `sluice edit`: the file replaces that of the pipeline of its name. Says what differs, whether the checkpoint is kept, and what becomes of
 * groups that come or go, before it does it.
 */
export async function editPipeline(file: string, options: EditOptions): Promise<void> {
  const { name, written } = await readPipeline(file, process.env);
  const { dryRun = false, json = false } = options;
  const client = clientOf(options);
  if (!dryRun && !json) {
    const { changed, groups } = await client.edit(name, written, true);
    if (changed.length > 0 && groups.length > 0)
      process.stdout.write(`${groups.map(({ text }) => printable(text)).join("\n")}\n`);
  }
  const edited = await client.edit(name, written, dryRun);
  answer(options, edited, editText(edited, dryRun));
}

function editText({ name, changed, checkpoint, why, isChanged, groups }: EditAnswer, dryRun: boolean): string {
  if (changed.length === 0) return `${name} is as the file says already`;
  const kept = {
    kept: "checkpoint kept",
    copies: "copies anew",
    unknown: "whether the checkpoint is kept can't be told now",
  }[checkpoint];
  return [
    `${name}: ${changed.length === 1 ? "a field differs" : `${changed.length} fields differ`}`,
    ...changed.map((field) => `  ${printable(field)}`),
    ...(dryRun ? groups.map(({ text }) => printable(text)) : []),
    `${groups.length > 0 ? "the other groups: " : ""}${kept}${why === "" ? "" : `: ${printable(why)}`}`,
    isChanged ? "changed" : dryRun ? "nothing was changed: --dry-run" : "nothing was changed",
  ].join("\n");
}
