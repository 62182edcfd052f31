import { setTimeout as delay } from "node:timers/promises";
import { OperatorError } from "../operator-error.ts";
import { commandLine } from "./command-line.ts";

const POLL_MS = 50;
const TERM_LIMIT_MS = 10_000;
const KILL_LIMIT_MS = 5_000;

/**
 * Ends a process that an earlier run left behind, and waits for its end. A process whose command line does not contain `sign`
 * is somebody else's by now and is left alone. True when there was something to end.
 */
export async function endLeftover(pid: number, sign: string): Promise<boolean> {
  const isOurs = async (): Promise<boolean> => (await commandLine(pid))?.includes(sign) === true;
  if (!(await isOurs())) return false;
  for (const [signal, limitMs] of [
    ["SIGTERM", TERM_LIMIT_MS],
    ["SIGKILL", KILL_LIMIT_MS],
  ] as const) {
    process.kill(pid, signal);
    const deadlineMs = performance.now() + limitMs;
    while (performance.now() < deadlineMs) {
      if (!(await isOurs())) return true;
      await delay(POLL_MS);
    }
  }
  throw new OperatorError(
    `process ${pid} of an earlier run does not end`,
    `Find out why: it is in the state that \`ps -o stat= -p ${pid}\` says.`,
  );
}
