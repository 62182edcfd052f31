import { spawn } from "node:child_process";
import { Socket } from "node:net";
import type { Writable } from "node:stream";

/**
 * Reads lines "+ pid directory" and "- pid" and keeps the list; at the end of its input it kills what is left and removes the
 * directories. It leads its own session and ignores the terminal's signals, so that it outlives us by that moment.
 */
const SCRIPT = `
trap '' INT TERM HUP
list=""
newline='
'
while IFS= read -r line; do
  case $line in
    "+ "*) list="$list\${line#+ }$newline" ;;
    "- "*) gone=\${line#- }; kept=""; IFS=$newline
      for entry in $list; do [ "\${entry%% *}" = "$gone" ] || kept="$kept$entry$newline"; done
      list=$kept; unset IFS ;;
  esac
done
IFS=$newline
for entry in $list; do kill -9 "\${entry%% *}" 2>/dev/null; done
for entry in $list; do directory=\${entry#* }; [ -z "$directory" ] || rm -rf -- "$directory"; done
`;

let guard: Writable | undefined;

/**
 * Makes sure that a child process does not outlive this one, however this one ends (SIGKILL included): a small shell process
 * holds the other end of a pipe, which the kernel closes when we die, and then kills every pid it was given.
 *
 * @param directory removed at that moment too; for a temporary directory that only the child uses
 */
export function guardProcess(pid: number, directory = ""): void {
  if (directory.includes("\n")) throw new Error(`a guarded directory can't have a line break in its name: ${directory}`);
  guard ??= startGuard();
  guard.write(`+ ${pid} ${directory}\n`);
}

/** To be called when the child has ended by itself, since its pid may be given to another process. */
export function unguardProcess(pid: number): void {
  guard?.write(`- ${pid}\n`);
}

function startGuard(): Writable {
  const child = spawn("/bin/sh", ["-c", SCRIPT], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  child.on("error", () => (guard = undefined));
  child.on("exit", () => (guard = undefined));
  child.stdin.on("error", () => (guard = undefined));
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref(); // or it would keep this process alive
  return child.stdin;
}
