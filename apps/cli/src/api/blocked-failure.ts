import type { PipelineStatus } from "@sluice/wire";
import { OperatorError } from "../operator-error.ts";
import { failedChecks, precheckDetails } from "../view/precheck-table.ts";
import { ApiRefusal, ApiUnreachable, type ApiClient } from "./api-client.ts";
import { failure } from "./wait-for.ts";

/** What keeps a blocked pipeline from starting: every check that fails, with its fix, and how to waive it. */
export async function blockedFailure(api: ApiClient, status: PipelineStatus): Promise<OperatorError> {
  const { name } = status;
  try {
    const failed = failedChecks(await api.lastPrecheck(name));
    if (failed.length > 0) {
      const count = failed.length === 1 ? "a precheck fails" : `${failed.length} prechecks fail`;
      return new OperatorError(
        `${name} may not start: ${count}\n\n${failed.map(precheckDetails).join("\n\n")}\n`,
        waiving(failed[0]?.id ?? "ID"),
      );
    }
  } catch (cause) {
    if (!(cause instanceof ApiRefusal) && !(cause instanceof ApiUnreachable)) throw cause;
  }
  return failure(status);
}

/** What to do about checks that fail. */
export function waiving(id: string): string {
  return `Mend it and start again. What you know of and want all the same: --ignore ${id}="why"; what can't work is refused even so.`;
}
