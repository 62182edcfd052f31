import { CommanderError } from "commander";
import { OperatorError } from "./operator-error.ts";
import { createProgram } from "./program.ts";

/**
 * Runs one command line. Resolves with its exit code (0 done, 1 refused or failed, 2 called wrongly), or with null when this
 * process has become another program, which ends by itself. Failures are printed on standard error.
 */
export async function runProgram(args: readonly string[]): Promise<0 | 1 | 2 | null> {
  let isResident = false;
  const program = createProgram(() => (isResident = true));
  try {
    await program.parseAsync(args, { from: "user" });
    return isResident ? null : 0;
  } catch (cause) {
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? 0 : 2;
    if (!(cause instanceof OperatorError)) throw cause;
    process.stderr.write(`sluice: ${cause.message}\n`);
    if (cause.remedy !== "") process.stderr.write(`${cause.remedy}\n`);
    return cause.exitCode;
  }
}
