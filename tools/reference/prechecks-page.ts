import type { PrecheckText } from "../../services/coordinator/src/precheck/precheck.ts";
import { prechecks } from "../../services/coordinator/src/precheck/prechecks.ts";

const SIDES = [
  { prefix: "source-", title: "Source" },
  { prefix: "destination-", title: "Destination" },
  { prefix: "bus-", title: "Bus" },
] as const;

/** `docs/reference/prechecks.md` */
export function prechecksPage(): string {
  const sections = SIDES.map(({ prefix, title }) => {
    const entries = prechecks.filter(({ id }) => id.startsWith(prefix)).map((check) => entryOf(check));
    return `## ${title}\n\n${entries.join("\n")}`;
  });
  return `${HEAD}\n${sections.join("\n")}`;
}

function entryOf({ id, title, why, expected, fix, warns, fails, code }: PrecheckText): string {
  return [
    `### ${id}\n`,
    `${title}. ${why}\n`,
    `- **expected**: ${expected}`,
    ...(warns === null ? [] : [`- **warns** when ${warns}`]),
    ...(fails === null ? [] : [`- **fails** when ${fails} (${code})`]),
    `- **fix**: ${fix}\n`,
  ].join("\n");
}

const HEAD = `# Prechecks

<!-- Written by tools/generate-reference.ts from services/coordinator/src/precheck; do not edit. -->

Before a pipeline starts, its servers and NATS are asked whether it can do its work. The checks run side by side, each for 15 s at most. They
only ask: nothing is changed on any server, and no copy or replication is begun.

A **fail** forbids the start. A **warn** is told and forbids nothing; it can be waived by its id, with a reason that stays in the report. A fail
can be waived only where it says so. A check that could not tell, because a permission is missing or a server was too slow, warns or fails,
and says what kept it. Where a server can't be asked at all, the check of that says so once, and those that would need the server are left out.
`;
