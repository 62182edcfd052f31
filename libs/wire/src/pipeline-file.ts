import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from "yaml";
import type { z } from "zod";
import { pipelineSchema, type Pipeline } from "./pipeline.ts";

/** One thing that is wrong with a pipeline file. `line` counts from 1. */
export interface PipelineFault {
  readonly line: number;
  readonly path: string;
  readonly message: string;
}

/** A pipeline file is refused whole, with everything that is wrong with it. */
export class PipelineFileError extends Error {
  override readonly name = "PipelineFileError";
  readonly faults: readonly PipelineFault[];
  constructor(file: string, faults: readonly PipelineFault[]) {
    super(faults.map(({ line, path, message }) => `${file}:${line}: ${path === "" ? "" : `${path}: `}${message}`).join("\n"));
    this.faults = faults;
  }
}

/** Reads the text of a pipeline file (YAML, so JSON too). Throws `PipelineFileError`. */
export function parsePipelineFile(text: string, file: string): Pipeline {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    const faults = document.errors.map((error) => ({
      line: lines.linePos(error.pos[0]).line,
      path: "",
      message: (error.message.split("\n")[0] as string).replace(/ at line .*$/, ""),
    }));
    throw new PipelineFileError(file, faults);
  }
  const read = valueOf(document, file);
  const result = pipelineSchema.safeParse(read);
  if (result.success) return result.data;
  throw new PipelineFileError(
    file,
    result.error.issues.flatMap((issue) => faultsOf(issue, document, lines, read)),
  );
}

/** An alias that stands for nothing, or for more than a pipeline file can need, is found only here. */
function valueOf(document: Document, file: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new PipelineFileError(file, [{ line: 1, path: "", message }]);
  }
}

function faultsOf(issue: z.core.$ZodIssue, document: Document, lines: LineCounter, read: unknown): PipelineFault[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { line: lineOf(path, document, lines), path: label(path), message: `unknown field ${JSON.stringify(key)}` };
    });
  }
  const found = valueAt(read, issue.path);
  const said = found === undefined ? "missing" : `read ${isSecret(issue.path) ? "something else" : shown(found)}`;
  return [{ line: lineOf(issue.path, document, lines), path: label(issue.path), message: `${said}: ${issue.message}` }];
}

/** The line of the nearest node that stands in the file, from the fault's own upwards: of its key, where it has one. */
function lineOf(path: readonly PropertyKey[], document: Document, lines: LineCounter): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const parent = depth === 0 ? undefined : nodeAt(path.slice(0, depth - 1), document);
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === path[depth - 1])
      : undefined;
    const node = pair === undefined ? nodeAt(path.slice(0, depth), document) : pair.key;
    if (isNode(node) && Array.isArray(node.range)) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

function nodeAt(path: readonly PropertyKey[], document: Document): unknown {
  return path.length === 0 ? document.contents : document.getIn(path, true);
}

function valueAt(read: unknown, path: readonly PropertyKey[]): unknown {
  let value = read;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

function label(path: readonly PropertyKey[]): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .replace(/^\./, "");
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
