import { OperatorError, Screen } from "@sluice/cli";
import { parseDemoOptions, USAGE } from "./demo-options.ts";
import { runDemo } from "./run-demo.ts";

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) process.exit(1);
    interrupted.abort();
  });
}
process.stdout.on("error", () => undefined);

try {
  const options = parseDemoOptions(process.argv.slice(2), () => Math.floor(Math.random() * 1_000_000));
  if (options === null) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  process.exit(await runDemo(options, new Screen(process.stdout), interrupted.signal));
} catch (cause) {
  process.stderr.write(`sluice demo: ${cause instanceof Error ? cause.message : String(cause)}\n`);
  if (cause instanceof OperatorError && cause.remedy !== "") process.stderr.write(`${cause.remedy}\n`);
  process.exit(cause instanceof OperatorError ? cause.exitCode : 1);
}
