import type { PrecheckReport } from "@sluice/wire";
import type { ApiClient, Waivers } from "../api/api-client.ts";
import { waiving } from "../api/blocked-failure.ts";
import { OperatorError } from "../operator-error.ts";
import { pipelineTarget, type PipelineTarget } from "../pipeline-target.ts";
import { failedChecks, precheckTable } from "../view/precheck-table.ts";
import { answer, clientOf, type ApiOptions } from "./asking.ts";

export interface PrecheckOptions extends ApiOptions {
  readonly only?: readonly string[];
  readonly ignore?: Waivers;
  readonly details?: boolean;
  /** What the last run found, without another one. */
  readonly last?: boolean;
}

/** `sluice precheck`: of a file, or of a pipeline that there is. Throws `OperatorError` when a check fails, behind the table. */
export async function precheck(said: string, options: PrecheckOptions): Promise<void> {
  const target = await pipelineTarget(said, process.env);
  const report = await reportOf(clientOf(options), target, options);
  answer(options, report, precheckTable(target.name, report, { details: options.details ?? false }));
  const failed = failedChecks(report);
  if (failed.length === 0) return;
  const count = failed.length === 1 ? "a precheck fails" : `${failed.length} prechecks fail`;
  throw new OperatorError(`${target.name} may not start: ${count}`, waiving(failed[0]?.id ?? "ID"));
}

async function reportOf(
  api: ApiClient,
  { name, written }: PipelineTarget,
  { only, ignore, last }: PrecheckOptions,
): Promise<PrecheckReport> {
  const request = { ...(only === undefined ? {} : { only: [...only] }), ...(ignore === undefined ? {} : { ignore }) };
  if (last !== true) return written === null ? api.precheck(name, request) : api.precheckFile(written, request);
  if (written !== null)
    throw new OperatorError("--last shows what was found of a pipeline that there is", `sluice precheck ${name} --last`, 2);
  if (only !== undefined || ignore !== undefined)
    throw new OperatorError("--last runs no checks, so that --only and --ignore mean nothing with it", "", 2);
  return api.lastPrecheck(name);
}
