import { closestName } from "./closest-name.ts";
import { fieldsAt, scalarFields, type ScalarField } from "./pipeline-json-schema.ts";

/** Variables of this beginning stand for fields of the pipeline file. */
const PIPELINE_VARIABLE = "SLUICE_PIPELINE_";

/** One variable of the environment, and the field that it stands for. */
export interface Override {
  readonly variable: string;
  readonly path: readonly PropertyKey[];
  readonly value: unknown;
}

export interface OverrideFault {
  readonly variable: string;
  readonly message: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** `SLUICE_PIPELINE_DESTINATIONS_0_URL` for `destinations[0].url`; `0` stands for any number. */
export function variableOf(path: readonly PropertyKey[]): string {
  return (
    PIPELINE_VARIABLE +
    path
      .map((step) =>
        String(step)
          .replace(/([a-z])([A-Z])/g, "$1_$2")
          .toUpperCase(),
      )
      .join("_")
  );
}

/**
 * Fields of a pipeline file that the environment gives another value. `count`: how many destinations the file has. Lists, and
 * what stands under names of the operator's own (`nodes`, `databases`), only the file can say.
 */
export function pipelineOverrides(environment: Environment, count: number): { overrides: Override[]; faults: OverrideFault[] } {
  const overrides: Override[] = [];
  const faults: OverrideFault[] = [];
  const known = new Map(scalarFields().map((field) => [variableOf(field.path), field]));
  for (const [variable, text] of Object.entries(environment).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (!variable.startsWith(PIPELINE_VARIABLE) || text === undefined) continue;
    const index = /^SLUICE_PIPELINE_DESTINATIONS_(\d{1,3})_/.exec(variable)?.[1];
    const field = known.get(variable.replace(/_\d{1,3}_/, "_0_"));
    if (field === undefined) faults.push({ variable, message: unknownVariable(variable, [...known.keys()]) });
    else if (index !== undefined && Number(index) >= count) {
      faults.push({ variable, message: `the file has ${count} destination${count === 1 ? "" : "s"}, which count from 0` });
    } else overrides.push({ variable, path: pathOf(field, index), value: valueOf(text, field) });
  }
  for (const { variable, path } of overrides) {
    const outer = overrides.find((other) => other.path.length < path.length && isWithin(path, other.path));
    if (outer !== undefined) faults.push({ variable, message: `expected only one of it and ${outer.variable}` });
  }
  return { overrides, faults };
}

/** Sets a field in a pipeline as it is written. What stands in the way of it is replaced. */
export function applyOverride(written: unknown, { path, value }: Override): void {
  let inner = written as Record<PropertyKey, unknown>;
  for (const [depth, step] of path.slice(0, -1).entries()) {
    const next = inner[step];
    // A secret is in one place: the one that the file names, or the one that the variable names.
    const isChoice = fieldsAt(path.slice(0, depth + 1)).filter(({ type }) => type === "object").length > 1;
    if (typeof next !== "object" || next === null || isChoice) inner[step] = {};
    inner = inner[step] as Record<PropertyKey, unknown>;
  }
  inner[path.at(-1) as PropertyKey] = value;
}

function isWithin(path: readonly PropertyKey[], outer: readonly PropertyKey[]): boolean {
  return outer.every((step, depth) => path[depth] === step);
}

function pathOf({ path }: ScalarField, index: string | undefined): PropertyKey[] {
  return path.map((step) => (step === 0 && index !== undefined ? Number(index) : step));
}

/** Text that is no number or truth stays text, for the schema to refuse. */
function valueOf(text: string, { types }: ScalarField): unknown {
  if (types.includes("integer") && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (types.includes("boolean") && (text === "true" || text === "false")) return text === "true";
  return text;
}

function unknownVariable(variable: string, known: readonly string[]): string {
  const index = /_(\d{1,3})_/.exec(variable)?.[1];
  const meant = closestName(
    variable.slice(PIPELINE_VARIABLE.length),
    known.map((name) => name.slice(PIPELINE_VARIABLE.length)),
  );
  const hint =
    meant === null
      ? ""
      : `; did you mean ${PIPELINE_VARIABLE}${index === undefined ? meant : meant.replace("_0_", `_${index}_`)}?`;
  return `no single value of a pipeline file goes by this name${hint}`;
}
