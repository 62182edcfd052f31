import { FIRST_STATE, transitions } from "../../services/coordinator/src/lifecycle/transitions.ts";
import { markdownTable } from "./markdown-table.ts";

/** `docs/reference/lifecycle.md` */
export function lifecyclePage(): string {
  const rows = Object.entries(transitions).flatMap(([from, leads]) =>
    Object.entries(leads).map(([to, by]) => [`\`${from}\``, `\`${to}\``, by]),
  );
  const table = markdownTable(["from", "to", "by"], rows);
  return `${HEAD}\n\`\`\`mermaid\n${diagram()}\n\`\`\`\n\n## Every step\n\n${table}\n\n${TAIL}`;
}

/** States by their way through a pipeline's life; steps that lead to an end from many states are in the table alone. */
function diagram(): string {
  const states = Object.keys(transitions);
  const ends = new Set(["paused", "failed", "stopped", "cutting-over", "prechecking", "ready"]);
  const early = new Set(["created", "prechecking", "blocked"]);
  const steps = Object.entries(transitions).flatMap(([from, leads]) =>
    Object.entries(leads)
      .filter(([to]) => early.has(from) || from === "synchronizing" || !ends.has(to))
      .map(([to, by]) => `    ${idOf(from)} --> ${idOf(to)}: ${by}`),
  );
  return [
    "stateDiagram-v2",
    ...states.filter((state) => state.includes("-")).map((state) => `    state "${state}" as ${idOf(state)}`),
    `    [*] --> ${idOf(FIRST_STATE)}`,
    ...steps,
    ...states.filter((state) => isLast(state)).map((state) => `    ${idOf(state)} --> [*]`),
  ].join("\n");
}

function isLast(state: string): boolean {
  return Object.entries(transitions).some(([from, leads]) => from === state && Object.keys(leads).length === 0);
}

function idOf(state: string): string {
  return state.replaceAll("-", "_");
}

const HEAD = `# The life of a pipeline

<!-- Written by tools/generate-reference.ts from services/coordinator/src/lifecycle/transitions.ts; do not edit. -->

What an operator wants (\`desired\`) and what is observed (\`state\`) are two records. The coordinator works the state out from all records at every
look and never takes a step that is not in the table below; where it was away it writes every step on the way. So it may be killed at any
time, and another one goes on.

The diagram shows what leads out of \`synchronizing\` for all running states, which are \`ready\`, \`copying\`, \`catching-up\`, \`synchronizing\` and \`retrying\`.
`;

const TAIL = `## What each wish does

${markdownTable(
  ["desired", "what runs"],
  [
    ["`created`", "Nothing. It is kept until it is started."],
    ["`checking`", "Nothing but the prechecks. What fails blocks it, with the reason; a rerun that passes goes on by itself."],
    ["`running`", "Everything."],
    [
      "`paused`",
      "Ingest goes on: what the source sends is stored, within the limits of the stream, so that nothing has to be copied anew. No lane runs.",
    ],
    [
      "`stopped`",
      "The lanes apply what is stored, then nothing. The source's backlog has to bridge the time until the next start.",
    ],
    ["`failed`", "Nothing: a retry window has closed. Stream and positions stay where they are."],
    ["`cut-over`", "Nothing any more. The destinations stand by themselves."],
  ],
)}

## Retry windows

An endpoint that fails opens its window (\`retryWindow\` in the pipeline file): one for each source shard, one for each destination, one for the bus.
Only what needs the endpoint waits. The status shows what is left of the window and the last error; attempts come in growing intervals, up
to 30 s. Inside the window everything resumes by itself. When it closes the whole pipeline fails: SRC-015, DST-019 or BUS-010.
The time is the coordinators' own, and stands still while none is active. How long the bus is away each coordinator counts for itself; the
pipeline fails when the bus is back.

\`resume\` lets a pipeline go on that is paused or has failed, and says first whether it continues or copies anew. It copies anew where the
source no longer holds what follows, and where nothing was applied for longer than expiries in the destinations bear (\`expiryGraceMs\` in the
status): keys that the source renewed meanwhile may have run out there.

## Edits

Endpoints, credentials, policies and limits of a pipeline can be edited, with \`dryRun\` to see first what it would do: the checkpoint is kept where the
source's history, and the marks in the destination, are the same, and else everything is copied anew. Where an endpoint leads elsewhere the
prechecks come before the pipeline runs on, and nothing runs meanwhile. Lanes, mode, groups, databases, keys and the sum of \`retryWindow\` and \`keepApplied\`
can't be changed: PIP-003.

## Modes

\`full+changes\` copies and then follows. \`full\` stops by itself when the copy is applied, with all that was stored until then; its expiries keep
the grace until \`sluice cutover NAME --force\`. Started again, it applies what has changed since and stops again; with \`copy\` it copies anew.
`;
