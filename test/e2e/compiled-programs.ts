import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const BUNDLED = ["services/ingest", "services/router", "services/writer", "services/coordinator", "apps/cli"];

/** The compiled `sluice` command: its processes start several times faster than from source. */
export const COMPILED_SLUICE = join(ROOT, "apps/cli/dist/bundle.js");

/** Compiles what has changed of the programs, for tests and runs that start many of their processes. The name is what vitest calls. */
export async function setup(): Promise<void> {
  const run = promisify(execFile);
  await run(join(ROOT, "node_modules/.bin/tsc"), ["-b", ...BUNDLED, "apps/demo"], { cwd: ROOT });
  await run(process.execPath, ["--import", "tsx", "tools/bundle-programs.ts", ...BUNDLED], { cwd: ROOT });
}
