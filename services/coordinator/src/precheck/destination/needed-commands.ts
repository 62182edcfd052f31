import { CommandKind, commandTable } from "@sluice/redis";
import type { AskedCommand } from "../allowed-commands.ts";
import type { CommandRow } from "../probe/command-rows.ts";

/** What writers send of their own accord, with arguments that are good enough. */
const OWN: readonly AskedCommand[] = [
  ["INFO"],
  ["SELECT", "0"],
  ["MULTI"],
  ["EXEC"],
  ["WATCH", "1"],
  ["GET", "1"],
  ["HGETALL", "1"],
  ["SCAN", "0"],
  ["TYPE", "1"],
  ["PTTL", "1"],
];
const OWN_IN_CLUSTER: readonly AskedCommand[] = [
  ["CLUSTER", "SLOTS"],
  ["CLUSTER", "NODES"],
  ["SCRIPT", "LOAD", "1"],
  ["EVAL", "1", "0"],
  ["EVALSHA", "1", "0"],
  ["ASKING"],
];

/** Without these nothing at all can be written, whatever the source sends. */
export const ESSENTIAL: ReadonlySet<string> = new Set(
  ["SET", "DEL", "PEXPIREAT", "HSET", "HDEL"].concat([...OWN, ...OWN_IN_CLUSTER].map(([name]) => name)),
);

export function ownCommands(isCluster: boolean): readonly AskedCommand[] {
  return isCluster ? [...OWN, ...OWN_IN_CLUSTER] : OWN;
}

/** Every command that a source may send as a write. */
export function streamCommands(): string[] {
  return commandTable.names.filter((_, id) => commandTable.kind[id] === CommandKind.write);
}

/** A container is asked for by one of its subcommands, with as many arguments as that wants. */
const CONTAINERS: Readonly<Record<string, AskedCommand>> = { XGROUP: ["XGROUP", "CREATE", "1", "1", "1"] };

/** A call with as many arguments as the command wants; `1` is a key and a number. */
export function callOf({ name, arity }: Pick<CommandRow, "name" | "arity">): AskedCommand {
  return CONTAINERS[name] ?? [name, ...Array.from({ length: Math.max(0, Math.abs(arity) - 1) }, () => "1")];
}
