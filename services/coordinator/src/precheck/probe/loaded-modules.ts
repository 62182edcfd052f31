import { ReplyError, type Reply } from "@sluice/redis";
import { replyText, type ServerProbe } from "./server-probe.ts";

const MODULES_SINCE = 40_000;

/** Modules of a server by name, with their versions. Empty before 4.0. Throws as `ServerProbe.ask`. */
export async function loadedModules(server: ServerProbe): Promise<Map<string, number>> {
  if ((await server.state()).version < MODULES_SINCE) return new Map();
  return parseModules(await server.ask("MODULE", "LIST"));
}

/** Reads an answer of MODULE LIST: `[[name, <name>, ver, <version>, …] …]`. */
export function parseModules(reply: Reply): Map<string, number> {
  const modules = new Map<string, number>();
  if (!Array.isArray(reply)) return modules;
  for (const row of reply) {
    if (!Array.isArray(row) || row instanceof ReplyError) continue;
    const fields = row.map((part) => (Array.isArray(part) ? "" : replyText(part)));
    const valueOf = (name: string): string => fields[fields.indexOf(name) + 1] ?? "";
    if (fields.includes("name")) modules.set(valueOf("name"), Number(valueOf("ver")));
  }
  return modules;
}
