import { applyOverride, pipelineOverrides, type Environment, type Override } from "./pipeline-environment.ts";
import { fieldName, readPipeline, type PipelineIssue } from "./pipeline-issues.ts";
import type { Pipeline } from "./pipeline.ts";
import { YamlText } from "./yaml-text.ts";

/** One thing that is wrong with a pipeline file, or with a variable that stands for one of its fields. */
export interface PipelineFault {
  /** `file:line:column`, both from 1, or the name of a variable. */
  readonly where: string;
  /** `destinations[0].url`; empty for the whole file. */
  readonly field: string;
  readonly message: string;
}

/** A pipeline file is refused whole, with everything that is wrong with it. */
export class PipelineFileError extends Error {
  override readonly name = "PipelineFileError";
  readonly faults: readonly PipelineFault[];
  constructor(faults: readonly PipelineFault[]) {
    super(faults.map(({ where, field, message }) => `${where}: ${field === "" ? "" : `${field}: `}${message}`).join("\n"));
    this.faults = faults;
  }
}

export interface ReadPipelineFile {
  readonly pipeline: Pipeline;
  /** As it stands in the file and in the environment: secrets and paths of files unresolved, defaults not filled in. */
  readonly written: unknown;
}

/**
 * Reads the text of a pipeline file (YAML 1.2, so JSON too), and the variables of `environment` that stand for fields of it.
 * Throws `PipelineFileError`.
 */
export function readPipelineFile(text: string, file: string, environment: Environment = {}): ReadPipelineFile {
  const yaml = new YamlText(text);
  if (yaml.faults.length > 0) {
    throw new PipelineFileError(
      yaml.faults.map(({ line, column, message }) => ({ where: `${file}:${line}:${column}`, field: "", message })),
    );
  }
  const written = yaml.value;
  const isMap = typeof written === "object" && written !== null && !Array.isArray(written);
  const destinations = isMap ? (written as { destinations?: unknown }).destinations : [];
  const { overrides, faults } = pipelineOverrides(environment, Array.isArray(destinations) ? destinations.length : 0);
  if (isMap) for (const override of overrides) applyOverride(written, override);
  const read = readPipeline(written);
  const found = [
    ...faults.map(({ variable, message }) => ({ where: variable, field: "", message })),
    ...("issues" in read ? read.issues : []).map((issue) => faultOf(issue, { yaml, written, file, overrides })),
  ];
  if (found.length > 0 || "issues" in read) throw new PipelineFileError(found);
  return { pipeline: read.pipeline, written };
}

/** The pipeline of a file alone. Throws `PipelineFileError`. */
export function parsePipelineFile(text: string, file: string): Pipeline {
  return readPipelineFile(text, file).pipeline;
}

interface Reading {
  readonly yaml: YamlText;
  readonly written: unknown;
  readonly file: string;
  readonly overrides: readonly Override[];
}

function faultOf({ path, kind, message }: PipelineIssue, { yaml, written, file, overrides }: Reading): PipelineFault {
  const override = overrides.find((candidate) => candidate.path.join() === path.join());
  const { line, column } = yaml.placeOf(path, kind === "unknown");
  const where = override?.variable ?? `${file}:${line}:${column}`;
  const field = fieldName(path);
  if (kind === "unknown") return { where, field, message };
  const found = valueAt(written, path);
  const hint = override === undefined ? hintOf(found, message) : "";
  return { where, field, message: `${saidOf(found, path)}: ${message}${hint}` };
}

/** YAML takes a number for a number, and quotes make it text. */
function hintOf(found: unknown, message: string): string {
  const isText = message.startsWith("expected text") || message.startsWith("expected 1 to 32");
  if (isText && (typeof found === "number" || typeof found === "boolean")) return "; put it between quotes";
  const isQuoted = typeof found === "string" && (/^-?\d+$/.test(found) || found === "true" || found === "false");
  return isQuoted && /^expected (a whole number|true or false)/.test(message) ? "; leave the quotes out" : "";
}

function saidOf(found: unknown, path: readonly PropertyKey[]): string {
  if (found === undefined) return "missing";
  if (found === null) return "read nothing";
  return `read ${isSecret(path) ? "something else" : shown(found)}`;
}

function valueAt(read: unknown, path: readonly PropertyKey[]): unknown {
  let value = read;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.hasOwn(value, step) ? (value as Record<PropertyKey, unknown>)[step] : undefined;
  }
  return value;
}

/** What is printed ends in terminals and logs, where no secret belongs. */
function isSecret(path: readonly PropertyKey[]): boolean {
  return path.includes("password");
}

function shown(value: unknown): string {
  const text = (JSON.stringify(value, withoutSecret) ?? "nothing").replace(/:\/\/[^/@\s"]*@/g, "://…@");
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function withoutSecret(key: string, value: unknown): unknown {
  return key === "password" ? "…" : value;
}
