import { pass, warn, type Look } from "../precheck.ts";
import { eachSourceServer } from "../server-check.ts";

/** Ingest gives a link up that was silent for a minute; a source sends at least a PING this often. */
const SILENCE_SECONDS = 60;
const LEAST_SECONDS = 30;

/** Settings in seconds; null where the version has none. */
function judgeReplTimeout(timeout: number | null, pingPeriod: number | null): Look {
  const found = `repl-timeout ${timeout ?? "unknown"}, repl-ping-replica-period ${pingPeriod ?? "unknown"}`;
  if (pingPeriod !== null && pingPeriod >= SILENCE_SECONDS / 2) {
    return warn(found, {
      fix: "`CONFIG SET repl-ping-replica-period 10`: Sluice takes a minute of silence for a dead source.",
    });
  }
  return timeout !== null && timeout < LEAST_SECONDS ? warn(found) : pass(found);
}

const seconds = (text: string | null): number | null => (text === null ? null : Number(text));

export const sourceReplTimeout = eachSourceServer(
  {
    id: "source-repl-timeout",
    title: "The source is patient with its replicas",
    why: "A source drops a replica that says nothing for repl-timeout. Sluice says every second that it is alive, but a short pause of the network or a slow disk must not cost the link.",
    expected: `repl-timeout ${LEAST_SECONDS} or more, repl-ping-replica-period below ${SILENCE_SECONDS / 2}`,
    fix: "`CONFIG SET repl-timeout 60` on every node, and in its redis.conf.",
    warns: `repl-timeout is below ${LEAST_SECONDS} s, or repl-ping-replica-period ${SILENCE_SECONDS / 2} s or more`,
    fails: null,
    code: "SRC-001",
  },
  async (server) => {
    const ping = (await server.setting("repl-ping-replica-period")) ?? (await server.setting("repl-ping-slave-period"));
    return judgeReplTimeout(seconds(await server.setting("repl-timeout")), seconds(ping));
  },
);
