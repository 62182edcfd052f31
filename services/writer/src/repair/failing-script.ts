import { CommandKind, commandTable } from "@sluice/redis";
import { verdictOf } from "../apply/verdict.ts";

/**
 * Whether a command that failed is a script that failed as it did at its source: `id` is its number in `commandTable`.
 *
 * Before 5.0 a source replicates a script as it was called as soon as it has written anything, the script that ran into an error behind that included
 * (scripting.c, `evalGenericCommand`): on the same data it runs into the same error here, with the same writes before it. So an error that a key's
 * state gives says nothing of a difference. All other errors (a command that the destination lacks, memory, a permission) are its own.
 */
export function isFailingScript(id: number, error: string): boolean {
  if (id < 0 || commandTable.kind[id] !== CommandKind.script || error.startsWith("NOSCRIPT")) return false;
  // Not the source's script, but one that stands for another command: at the source that did not fail.
  if (error.startsWith("REWRITTEN")) return false;
  return verdictOf(error) === "diverged";
}
