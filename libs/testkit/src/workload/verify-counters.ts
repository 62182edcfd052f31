import type { Redis } from "ioredis";
import type { ClusterEndpoint } from "../servers/redis-cluster.ts";
import { keySlot } from "../servers/key-slot.ts";
import type { Command } from "./command.ts";
import type { CounterExpectation } from "./counter-book.ts";
import { openOutlets } from "./open-outlets.ts";
import type { Reply } from "./pipeline.ts";

/**
 * Compares the counters and numbered lists of a workload with what a server or a cluster holds. Where commands had no answer,
 * both outcomes of each are right.
 *
 * @returns one sentence for each that is wrong, none if all are right
 */
export async function verifyCounters(
  target: Redis | ClusterEndpoint,
  report: { readonly counters: readonly CounterExpectation[] },
): Promise<string[]> {
  const databases = [...new Set(report.counters.map((counter) => counter.db))];
  const outlets = await openOutlets(target, databases);
  const wrong: string[] = [];
  try {
    for (const [place, db] of databases.entries()) {
      const questions = report.counters
        .filter((counter) => counter.db === db)
        .map((counter) => ({ counter, commands: [question(counter)], slot: keySlot(counter.key) }));
      await outlets[place]?.send(questions, ({ counter }, [reply]) => {
        const problem = judge(counter, reply ?? null);
        if (problem !== undefined) wrong.push(`db ${db}, ${counter.key}: ${problem}`);
      });
    }
  } finally {
    for (const outlet of outlets) outlet.close();
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
  if (counter.form === "ledger") return judgeLedger(counter, reply);
  const { lowest, highest } = counter.doubt ?? { lowest: counter.value, highest: counter.value };
  const isPresent = reply !== null || counter.doubt !== undefined; // in doubt, it may never have been created
  if (isPresent && Number(reply) >= lowest && Number(reply) <= highest) return undefined;
  return `expected ${lowest === highest ? lowest : `${lowest} to ${highest}`}, found ${String(reply)}`;
}

/** The elements are numbered from 1 without a gap, but for those whose commands had no answer. */
function judgeLedger(counter: CounterExpectation, reply: Reply): string | undefined {
  if (!Array.isArray(reply)) return `expected a list, found ${String(reply)}`;
  const doubtful = new Set(counter.doubt?.numbers);
  const last = counter.value + doubtful.size;
  let next = 1;
  for (const [index, element] of reply.entries()) {
    const number = Number(String(element).split(":").at(-1));
    while (next < number && doubtful.has(next)) next++;
    if (number !== next) return `element ${index} of the list is number ${number}, expected number ${next}`;
    next++;
  }
  while (doubtful.has(next)) next++;
  return next === last + 1 ? undefined : `expected elements up to number ${last}, found them up to ${next - 1}`;
}
