import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Connection, commandDefinition } from "@sluice/redis";
import { spawnRedis } from "./spawn-redis.ts";

/** Writes the table of the commands that the installed redis-server knows. Run it with `npx tsx --conditions=@sluice/source tools/generate-commands.ts`. */
const TARGET = fileURLToPath(new URL("../libs/redis/src/commands/commands.generated.ts", import.meta.url));

await using redis = await spawnRedis();
const connection = await Connection.open(redis);
const server = String(await connection.call(["INFO", "server"]));
const version = /^redis_version:(\S+)/m.exec(server)?.[1] ?? "unknown";
const replies = await connection.call(["COMMAND"]);
connection.close();
if (!Array.isArray(replies)) throw new Error("COMMAND did not answer an array");
// The server's order differs from start to start.
const definitions = replies
  .map((reply) => commandDefinition(reply))
  .map((definition) => ({ ...definition, subcommands: definition.subcommands.toSorted() }))
  .toSorted((a, b) => (a.name < b.name ? -1 : 1));
const lines = definitions.map((definition) => `  ${JSON.stringify(definition)},`);
await writeFile(
  TARGET,
  [
    "// Written by tools/generate-commands.ts; do not edit.",
    'import type { CommandDefinition } from "./command-definition.ts";',
    "",
    `/** What COMMAND of redis-server ${version} answered, sorted by name. */`,
    "export const generatedCommands: readonly CommandDefinition[] = [",
    ...lines,
    "];",
    "",
  ].join("\n"),
);
console.log(`${definitions.length} commands of redis-server ${version} written to ${TARGET}`);
