import type { Look, PrecheckText } from "./precheck.ts";
import { ServerState } from "./probe/server-state.ts";

/** What an operator is told of a look: `pass`, or the level and what is to be done, `warn: Raise …`. */
export function told({ fix }: PrecheckText, look: Look): string {
  return look.level === "pass" ? "pass" : `${look.level}: ${look.fix ?? fix}`;
}

/** What INFO says: the given lines, of a Redis 7.0.15 that is a primary unless they say otherwise. */
export function stateOf(...lines: string[]): ServerState {
  return new ServerState(["redis_version:7.0.15", "role:master", ...lines].join("\r\n"));
}

export function redisState(version: string, ...lines: string[]): ServerState {
  return stateOf(`redis_version:${version}`, ...lines);
}

export function valkeyState(version: string, ...lines: string[]): ServerState {
  return stateOf("redis_version:7.2.4", "server_name:valkey", `valkey_version:${version}`, ...lines);
}

/** Lines of INFO commandstats: clients have called these. */
export function used(...commands: string[]): string[] {
  return commands.map((command) => `cmdstat_${command}:calls=3,usec=1`);
}
