import type { z } from "zod";
import { closestName } from "./closest-name.ts";
import { fieldsAt, scalarFields } from "./pipeline-json-schema.ts";
import { pipelineSchema, type Pipeline } from "./pipeline.ts";

/** One thing that is wrong with a pipeline, whoever sent it. Nothing of what it holds is quoted but names of fields. */
export interface PipelineIssue {
  readonly path: readonly PropertyKey[];
  /** `unknown`: there is no such field; `wrong`: what it holds can't be used, or it is missing. */
  readonly kind: "unknown" | "wrong";
  /** What was expected. */
  readonly message: string;
}

/** Reads what a pipeline file or a request holds. Everything that is wrong with it is found at once. */
export function readPipeline(value: unknown): { pipeline: Pipeline } | { issues: PipelineIssue[] } {
  const result = pipelineSchema.safeParse(value, { error: expectation });
  return result.success ? { pipeline: result.data } : { issues: result.error.issues.flatMap((issue) => issuesOf(issue, [])) };
}

/** `destinations[0].url`; empty for the whole. */
export function fieldName(path: readonly PropertyKey[]): string {
  return path
    .map((step) =>
      typeof step === "number" ? `[${step}]` : /^\w+$/.test(String(step)) ? `.${String(step)}` : `[${JSON.stringify(step)}]`,
    )
    .join("")
    .replace(/^\./, "");
}

function issuesOf(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): PipelineIssue[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...path, key], kind: "unknown", message: unknownField(path, key) }));
  }
  if (issue.code === "invalid_key") {
    const message = issue.issues[0]?.message ?? issue.message;
    return [{ path, kind: "wrong", message }];
  }
  if (issue.code === "invalid_union") {
    // The form that was meant is the one whose kind of value was written.
    const meant = issue.errors.filter(
      (form) => !form.some(({ code, path: inner }) => code === "invalid_type" && inner.length === 0),
    );
    if (meant.length === 1) return (meant[0] as z.core.$ZodIssue[]).flatMap((inner) => issuesOf(inner, path));
  }
  return [{ path, kind: "wrong", message: issue.message }];
}

function unknownField(path: readonly PropertyKey[], key: string): string {
  const said = `unknown field ${JSON.stringify(key.slice(0, 60))}`;
  const meant = closestName(
    key,
    fieldsAt(path).flatMap(({ properties = {} }) => Object.keys(properties)),
  );
  if (meant !== null) return `${said}; did you mean ${JSON.stringify(meant)}?`;
  const elsewhere = scalarFields().find(({ path: known }) => known.at(-1) === key);
  if (elsewhere === undefined) return said;
  const parents = elsewhere.path.slice(0, -1);
  return `${said} here; there is one ${parents.length === 0 ? "at the top of the file" : `in \`${fieldName(parents).replace("[0]", "[…]")}\``}`;
}

const EXPECTED_KIND: Readonly<Record<string, string>> = {
  string: "expected text",
  number: "expected a whole number",
  int: "expected a whole number",
  boolean: "expected true or false",
  array: "expected a list",
  object: "expected fields with names",
  record: "expected names with a value each",
};

/** What zod finds is told in the words of the operator. Schemas with a message of their own keep it. */
function expectation(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return EXPECTED_KIND[issue.expected] ?? `expected ${issue.expected}`;
    case "invalid_value":
      return expectedOne(issue.values.map(String), issue.input);
    case "too_small":
      return `expected at least ${sizeOf(issue.origin, Number(issue.minimum))}`;
    case "too_big":
      return `expected at most ${sizeOf(issue.origin, Number(issue.maximum))}`;
    default:
      return undefined;
  }
}

function expectedOne(values: readonly string[], input: unknown): string {
  const list = values.length === 1 ? values[0] : `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;
  const meant = typeof input === "string" ? closestName(input, values) : null;
  return `expected ${list}${meant === null ? "" : `; did you mean ${meant}?`}`;
}

function sizeOf(origin: string, limit: number): string {
  if (origin === "string") return `${limit} character${limit === 1 ? "" : "s"}`;
  if (origin === "array") return `${limit} in the list`;
  return `${limit}`;
}
