import type { Redis } from "ioredis";
import type { Command } from "./command.ts";
import type { CounterExpectation } from "./counter-book.ts";
import { openDatabases, runPipeline, type Reply } from "./pipeline.ts";

/**
 * Compares the counters and numbered lists of a workload with what a server holds.
 *
 * @returns one sentence for each that is wrong, none if all are right
 */
export async function verifyCounters(
  client: Redis,
  report: { readonly counters: readonly CounterExpectation[] },
): Promise<string[]> {
  const databases = [...new Set(report.counters.map((counter) => counter.db))];
  const links = await openDatabases(client, databases);
  const wrong: string[] = [];
  try {
    for (const [place, db] of databases.entries()) {
      const counters = report.counters.filter((counter) => counter.db === db);
      const link = links[place];
      if (link === undefined) continue;
      const replies = await runPipeline(link, counters.map(question));
      for (const [index, counter] of counters.entries()) {
        const problem = judge(counter, replies[index] ?? null);
        if (problem !== undefined) wrong.push(`db ${db}, ${counter.key}: ${problem}`);
      }
    }
  } finally {
    for (const link of links) link.disconnect();
  }
  return wrong;
}

function question(counter: CounterExpectation): Command {
  switch (counter.form) {
    case "ledger":
      return ["LRANGE", counter.key, 0, -1];
    case "field":
      return ["HGET", counter.key, "n"];
    default:
      return ["GET", counter.key];
  }
}

function judge(counter: CounterExpectation, reply: Reply): string | undefined {
  if (reply instanceof Error) return reply.message;
  if (counter.form !== "ledger") {
    return Number(reply) === counter.value && reply !== null ? undefined : `expected ${counter.value}, found ${String(reply)}`;
  }
  if (!Array.isArray(reply)) return `expected a list, found ${String(reply)}`;
  const numbers = reply.map((element) => Number(String(element).split(":").at(-1)));
  const astray = numbers.findIndex((number, index) => number !== (index === 0 ? 1 : (numbers[index - 1] ?? 0) + 1));
  if (astray >= 0)
    return `element ${astray} of the list is number ${numbers[astray]} after number ${numbers[astray - 1] ?? "none"}`;
  return numbers.length === counter.value ? undefined : `expected ${counter.value} elements, found ${numbers.length}`;
}
