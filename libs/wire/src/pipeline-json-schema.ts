import { z } from "zod";
import { pipelineSchema } from "./pipeline.ts";

/** What is used of JSON Schema (draft 2020-12) to describe a field of a pipeline file. */
export interface FieldSchema {
  readonly type?: string;
  readonly description?: string;
  /** How a duration, a size or a span of time is written; a keyword of our own, which editors pass over. */
  readonly unit?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly anyOf?: readonly FieldSchema[];
  readonly items?: FieldSchema;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | FieldSchema;
}

let made: FieldSchema | null = null;

/** The JSON Schema of a pipeline file as it is written, for editors, for the reference page and for messages. */
export function pipelineJsonSchema(): FieldSchema {
  made ??= { title: "Sluice pipeline file", ...z.toJSONSchema(pipelineSchema, { io: "input" }) } as FieldSchema;
  return made;
}

/** Every form that the field at `path` may have; empty where there is no such field. */
export function fieldsAt(path: readonly PropertyKey[]): readonly FieldSchema[] {
  return path.reduce<readonly FieldSchema[]>(
    (fields, step) => fields.flatMap((field) => inside(field, step)),
    forms(pipelineJsonSchema()),
  );
}

function inside({ properties = {}, additionalProperties, items }: FieldSchema, step: PropertyKey): readonly FieldSchema[] {
  if (typeof step === "number") return items === undefined ? [] : forms(items);
  const named = Object.hasOwn(properties, step) ? properties[String(step)] : undefined;
  if (named !== undefined) return forms(named);
  return typeof additionalProperties === "object" ? forms(additionalProperties) : [];
}

/** A field, or what it may be one of; the description and the default then stand outside. */
export function forms(field: FieldSchema): readonly FieldSchema[] {
  return field.anyOf ?? [field];
}

/** A field that holds one value, with its path; `destinations`, 0, `url` stands for those of all destinations. */
export interface ScalarField {
  readonly path: readonly PropertyKey[];
  readonly types: readonly string[];
}

/** Every scalar of a pipeline file. What stands in lists of scalars and under names of the operator's own is left out. */
export function scalarFields(field: FieldSchema = pipelineJsonSchema(), path: readonly PropertyKey[] = []): ScalarField[] {
  const all = forms(field);
  const types = all.flatMap(({ type }) => (type === undefined || type === "object" || type === "array" ? [] : [type]));
  const own = types.length === 0 ? [] : [{ path, types }];
  return [
    ...own,
    ...all.flatMap(({ properties = {}, items }) => [
      ...Object.entries(properties).flatMap(([name, inner]) => scalarFields(inner, [...path, name])),
      ...(items?.properties === undefined ? [] : scalarFields(items, [...path, 0])),
    ]),
  ];
}
