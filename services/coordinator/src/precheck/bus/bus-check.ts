import type { BusFacts } from "@sluice/bus";
import type { Look, Precheck, PrecheckContext, PrecheckText } from "../precheck.ts";
import { unknown } from "../server-check.ts";

const ENDPOINT = "bus";

/** A check of what the bus says of itself; left out where the bus does not answer, which `bus-reachable` tells. */
export function busCheck(
  text: PrecheckText,
  judge: (facts: BusFacts, context: PrecheckContext) => Look | Promise<Look>,
): Precheck {
  return {
    ...text,
    run: async (context) => {
      let facts: BusFacts;
      try {
        facts = await context.bus();
      } catch (cause) {
        return [{ ...unknown(text, ENDPOINT, cause), unasked: ENDPOINT }];
      }
      return [{ endpoint: ENDPOINT, ...(await judge(facts, context)) }];
    },
  };
}
