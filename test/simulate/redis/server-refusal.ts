import type { SimClient } from "./sim-client.ts";
import type { SimCommand } from "./sim-command.ts";
import type { SimServer } from "./sim-server.ts";

const TEXTS = {
  OOM: "OOM command not allowed when used memory > 'maxmemory'.",
  LOADING: "LOADING Redis is loading the dataset in memory",
  BUSY: "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
  READONLY: "READONLY You can't write against a read only replica.",
  MISCONF:
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify " +
    "the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails " +
    "(stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
  NOREPLICAS: "NOREPLICAS Not enough good replicas to write.",
  CLUSTERDOWN: "CLUSTERDOWN The cluster is down",
  MASTERDOWN: "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  NOPERM: "NOPERM this user has no permissions to run the",
} as const;

/** Commands that are let through although memory is short and a transaction is open. */
const ALWAYS = new Set(["exec", "discard", "quit", "reset"]);

/** Why the server's state keeps a client from running a command; null when nothing does. See `SimServer.failWith`. */
export function refusalOf(server: SimServer, client: SimClient, command: SimCommand): string | null {
  if (server.failWith === null && !server.isReplica) return null;
  const queued = command.name === "exec" ? (client.queue ?? []) : [];
  const isWrite = command.isWrite || queued.some((entry) => entry.command.isWrite);
  if (client.kind !== "test") {
    const needsMemory = command.needsMemory || queued.some((entry) => entry.command.needsMemory);
    const isQueuing = client.queue !== null && !ALWAYS.has(command.name);
    switch (server.failWith) {
      case "OOM":
        if (needsMemory || isQueuing) return TEXTS.OOM;
        break;
      case "LOADING":
        if (!command.runsWhileLoading) return TEXTS.LOADING;
        break;
      case "BUSY":
        if (!command.runsWhileBusy) return TEXTS.BUSY;
        break;
      case "READONLY":
      case "NOREPLICAS":
        if (isWrite) return TEXTS[server.failWith];
        break;
      case "MISCONF":
        if (isWrite || command.name === "ping") return TEXTS.MISCONF;
        break;
      case "CLUSTERDOWN":
        if (command.keys !== null || queued.some((entry) => entry.command.keys !== null)) return TEXTS.CLUSTERDOWN;
        break;
      case "MASTERDOWN":
        if (!command.runsStale) return TEXTS.MASTERDOWN;
        break;
      case "NOPERM":
        if (command.keys !== null) return `${TEXTS.NOPERM} '${command.name}' command`;
        break;
      case null:
        break;
    }
  }
  return server.isReplica && isWrite ? TEXTS.READONLY : null;
}

/**
 * As `refusalOf`, for a command inside a script: a script that has changed something is not stopped any more by a server that can't
 * write (script.c, `scriptVerifyWriteCommandAllow`, `scriptVerifyOOM`).
 */
export function scriptRefusalOf(server: SimServer, caller: SimClient, command: SimCommand, hasWritten: boolean): string | null {
  const { failWith } = server;
  if (caller.kind !== "test" && failWith === "MASTERDOWN" && !command.runsStale) {
    return "ERR Can not execute the command on a stale replica";
  }
  if (caller.kind !== "test" && failWith === "NOPERM" && command.keys !== null) {
    return "ERR The user executing the script can't run this command or subcommand";
  }
  if (hasWritten) return null;
  if (command.isWrite && server.isReplica && caller.kind !== "primary") return TEXTS.READONLY;
  if (caller.kind === "test" || failWith === null) return null;
  if (failWith === "OOM" && command.needsMemory) return TEXTS.OOM;
  const isWriteFault = failWith === "READONLY" || failWith === "MISCONF" || failWith === "NOREPLICAS";
  return isWriteFault && command.isWrite ? TEXTS[failWith] : null;
}
