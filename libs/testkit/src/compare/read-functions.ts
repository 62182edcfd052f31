import type { Redis } from "ioredis";
import { runPipeline, type Reply } from "../workload/pipeline.ts";
import { byText, type CanonicalFunction } from "./canonical.ts";

/** The function libraries of a server, sorted by name; none on a server older than 7.0. */
export async function readFunctions(client: Redis): Promise<CanonicalFunction[]> {
  const [reply] = await runPipeline(client, [["FUNCTION", "LIST", "WITHCODE"]]);
  if (reply instanceof Error && reply.message.includes("unknown command")) return [];
  if (!Array.isArray(reply)) throw new Error("can't list function libraries", { cause: reply });
  return reply
    .map((library) => ({
      name: field(library, "library_name").toString(),
      engine: field(library, "engine").toString(),
      code: field(library, "library_code").toString("base64"),
    }))
    .toSorted((left, right) => byText(left.name, right.name));
}

function field(library: Reply, name: string): Buffer {
  const items = Array.isArray(library) ? library : [];
  const value = items[items.findIndex((item) => String(item) === name) + 1];
  if (!Buffer.isBuffer(value)) throw new Error(`FUNCTION LIST has no ${name}`);
  return value;
}
