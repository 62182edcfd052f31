import { runProgram } from "./run-program.ts";

// The reader of a pipe may leave first; a run must not end for that.
process.stdout.on("error", () => undefined);
process.stderr.on("error", () => undefined);

const exitCode = await runProgram(process.argv.slice(2)).catch((cause: unknown) => {
  process.stderr.write(
    `sluice: ${cause instanceof Error ? cause.message : String(cause)}\nThis was not foreseen; please report it.\n`,
  );
  return 1 as const;
});
if (exitCode !== null) process.exit(exitCode);
