import type { ResumeAnswer } from "@sluice/wire";
import { printable } from "../view/printable.ts";
import { answer, clientOf, type ApiOptions } from "./asking.ts";
import { followStart, type StartOptions } from "./start-command.ts";

export interface ResumeOptions extends StartOptions, ApiOptions {
  readonly dryRun?: boolean;
}

/** `sluice resume`: says first whether the pipeline goes on from where it is or copies anew, then lets it. */
export async function resumePipeline(pipeline: string, options: ResumeOptions): Promise<void> {
  const api = clientOf(options);
  const { copy, ignore, dryRun = false } = options;
  const wishes = { ...(copy === undefined ? {} : { copy }), ...(ignore === undefined ? {} : { ignore }) };
  const outlook = await api.resume(pipeline, true, wishes);
  if (dryRun || options.json !== true) answer(options, outlook, outlookText(pipeline, outlook));
  if (dryRun) return;
  await api.resume(pipeline, false, wishes);
  if (options.wait !== false) await followStart(api, pipeline, outlook.status, options);
  else if (options.json === true) answer(options, await api.status(pipeline), "");
}

function outlookText(pipeline: string, { outcome, why }: ResumeAnswer): string {
  const what = {
    continues: "goes on from where it is",
    copies: "copies anew",
    unknown: "goes on, or copies anew, as the source then says",
  }[outcome];
  return `${pipeline} ${what}: ${printable(why)}`;
}
