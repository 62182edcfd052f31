import type { SimCommand } from "../sim-command.ts";
import { clusterCommands } from "./cluster-commands.ts";
import { connectionCommands } from "./connection-commands.ts";
import { expiryCommands } from "./expiry-commands.ts";
import { hashCommands } from "./hash-commands.ts";
import { keyCommands } from "./key-commands.ts";
import { listCommands } from "./list-commands.ts";
import { replicationCommands } from "./replication-commands.ts";
import { scriptCommands } from "./script-commands.ts";
import { serverCommands } from "./server-commands.ts";
import { setCommands } from "./set-commands.ts";
import { stringCommands } from "./string-commands.ts";
import { transactionCommands } from "./transaction-commands.ts";
import { zsetCommands } from "./zset-commands.ts";

const COMMANDS = new Map<string, SimCommand>();

for (const command of [
  ...stringCommands,
  ...listCommands,
  ...setCommands,
  ...hashCommands,
  ...zsetCommands,
  ...keyCommands,
  ...expiryCommands,
  ...transactionCommands,
  ...scriptCommands,
  ...connectionCommands,
  ...serverCommands,
  ...replicationCommands,
  ...clusterCommands,
]) {
  COMMANDS.set(command.name, command);
  COMMANDS.set(command.name.toUpperCase(), command);
}

/** The command of that name, in any letter case. */
export function findCommand(name: string): SimCommand | undefined {
  return COMMANDS.get(name) ?? COMMANDS.get(name.toLowerCase());
}
