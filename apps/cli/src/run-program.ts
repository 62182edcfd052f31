import { CommanderError } from "commander";
import { OperatorError } from "./operator-error.ts";
import { createProgram } from "./program.ts";
import { explanation } from "./view/explanation.ts";

/**
 * Runs one command line. Resolves with its exit code (0 done, 1 refused or failed, 2 called wrongly), or with null when this
 * process has become another program, which ends by itself. Failures are printed on standard error, for programs (`--json`) as one
 * object in one line.
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
    process.stderr.write(args.includes("--json") ? failureObject(cause) : failureText(cause));
    return cause.exitCode;
  }
}

function failureText({ message, remedy }: OperatorError): string {
  const code = codeIn(message);
  const lines = [`sluice: ${message}`, remedy, code === null ? "" : `More: sluice explain ${code}`];
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}

function failureObject({ message, remedy }: OperatorError): string {
  return `${JSON.stringify({ error: { code: codeIn(message), message, remedy } })}\n`;
}

/** The first code that a message names. */
function codeIn(message: string): string | null {
  for (const [code] of message.matchAll(/\b[A-Z]{3}-\d{3}\b/g)) if (explanation(code) !== null) return code;
  return null;
}
