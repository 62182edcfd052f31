import { waitFor, type WaitGoal } from "../api/wait-for.ts";
import { answer, clientOf, type ApiOptions } from "./asking.ts";

/** `sluice wait`. */
export async function waitForPipeline(pipeline: string, goal: WaitGoal, timeoutMs: number, options: ApiOptions): Promise<void> {
  const status = await waitFor(clientOf(options), pipeline, { goal, timeoutMs });
  answer(options, status, `${pipeline} is ${goal}`);
}
