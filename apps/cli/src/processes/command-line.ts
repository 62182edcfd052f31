import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The command line of a process, its arguments separated by spaces; null when there is no such process. */
export async function commandLine(pid: number): Promise<string | null> {
  if (!isAlive(pid)) return null;
  try {
    const line = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ").trim();
    return line === "" ? null : line; // a zombie has none
  } catch {
    return run("ps", ["-p", String(pid), "-o", "args="]).then(
      ({ stdout }) => stdout.trim(),
      () => null,
    );
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}
