import { spawn } from "node:child_process";

/**
 * Ends `$1` once standard input closes, which the kernel does when the process at its other end dies. Two seconds later only,
 * so that services that stop for the same reason can still take leave of the bus.
 */
const SCRIPT = `trap '' INT TERM HUP; read -r _; sleep 2; kill -TERM "$1" 2>/dev/null`;

/**
 * Sees to it that process `pid` does not outlive this one, however this one ends. Returns what is to be called once the process
 * has ended by itself, since its id may then be given to another.
 */
export function guardFromOrphaning(pid: number): () => void {
  const guard = spawn("/bin/sh", ["-c", SCRIPT, "sluice-guard", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.on("error", () => undefined);
  guard.stdin.on("error", () => undefined);
  guard.unref();
  (guard.stdin as typeof guard.stdin & { unref?: () => void }).unref?.();
  return () => {
    guard.kill("SIGKILL");
  };
}
