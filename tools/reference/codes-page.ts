import { codes, type CodeMeaning } from "@sluice/runtime";
import { prechecks } from "../../services/coordinator/src/precheck/prechecks.ts";

const FAMILIES = [
  { prefix: "SRC", title: "Source", about: "What the source says, sends, or does not hold any more." },
  { prefix: "DST", title: "Destination", about: "What a destination says, refuses, or holds." },
  { prefix: "BUS", title: "Bus", about: "NATS, its streams, and what stands in them." },
  { prefix: "PIP", title: "Pipeline", about: "The pipeline itself: its file, its state, what was asked of it." },
  { prefix: "API", title: "API", about: "Requests that the API does not take." },
  { prefix: "SLU", title: "Sluice", about: "Sluice's own processes." },
] as const;

/** `docs/reference/codes.md`. Throws where a code is of no family. */
export function codesPage(): string {
  const all = Object.entries<CodeMeaning>(codes).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const lost = all.filter(([code]) => !FAMILIES.some(({ prefix }) => code.startsWith(`${prefix}-`)));
  if (lost.length > 0) throw new Error(`codes of no family: ${lost.map(([code]) => code).join(", ")}`);
  const sections = FAMILIES.map(({ prefix, title, about }) => {
    const entries = all.filter(([code]) => code.startsWith(`${prefix}-`)).map(([code, meaning]) => entryOf(code, meaning));
    return `## ${title} (${prefix})\n\n${about}\n\n${entries.join("\n")}`;
  });
  return `${HEAD}\n${sections.join("\n")}`;
}

function entryOf(code: string, { meaning, remedy }: CodeMeaning): string {
  const checks = prechecks.filter((check) => check.fails !== null && check.code === code);
  const links = checks.map(({ id }) => `[${id}](prechecks.md#${id})`);
  return [
    `### ${code}\n`,
    `${meaning}\n`,
    `- **what to do**: ${remedy}`,
    ...(links.length === 0 ? [] : [`- **found before the start by** ${links.join(", ")}`]),
    "",
  ].join("\n");
}

const HEAD = `# Codes

<!-- Written by tools/generate-reference.ts from libs/runtime/src/codes.ts; do not edit. -->

Whatever goes wrong bears one of these codes: in the status, in events, in logs, in answers of the API and in what \`sluice\` prints. A code never
changes its meaning. The message beside it names the place: the shard, the lane, the server, the offset. \`GET /api/v1/codes/{code}\` answers with what
stands here.

The same code may be waited for or not: the [state](../operating.md#what-each-state-means) of the pipeline tells. While it is \`retrying\` Sluice tries by itself; a
shard or lane that **halted** (state \`failed\`) waits for a person, and the others go on. What to do first is in [operating](../operating.md#error-codes).
`;
