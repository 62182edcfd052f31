import { settings, type Setting } from "./settings.ts";

const INTRODUCTION = `# Settings

<!-- Written by tools/generate-reference.ts from tools/reference/settings.ts; do not edit. -->

Variables of the environment. A setting that can't be used ends the service at its start with SLU-002 and what was expected; files of \`SLUICE_NATS_…\` are
read once, at the start. Fields of a pipeline file have variables of their own, \`SLUICE_PIPELINE_…\`: see [the pipeline file](pipeline-file.md).
\`sluice run\` sets all but the log level for the services that it starts.
`;

/** The reference page of the settings. */
export function settingsPage(): string {
  return `${INTRODUCTION}\n${settings.map(section).join("\n\n")}\n`;
}

function section({ name, readBy, takes, byDefault, description }: Setting): string {
  return `## \`${name}\`\n\n${description}\n\n- read by: ${readBy}\n- takes: ${takes}\n- default: ${byDefault}`;
}
