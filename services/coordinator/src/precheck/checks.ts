import type { Check, Finding } from "./check.ts";
import { cluster } from "./cluster.ts";
import { credentials } from "./credentials.ts";
import { databases } from "./databases.ts";
import { empty } from "./empty.ts";
import type { PrecheckFacts } from "./facts.ts";
import { loaded } from "./loaded.ts";
import { mark } from "./mark.ts";
import { otherServer } from "./other-server.ts";
import { primary } from "./primary.ts";
import { reachable } from "./reachable.ts";

/** Every check, in the order in which findings are reported. */
const checks: readonly Check[] = [reachable, credentials, loaded, cluster, primary, otherServer, databases, mark, empty];

/** What forbids the pipeline to start; empty when nothing does. */
export function judge(facts: PrecheckFacts): Finding[] {
  return checks.flatMap((check) => check.judge(facts));
}
