import { fieldName, forms, NOT_YET, pipelineJsonSchema, scalarFields, variableOf, type FieldSchema } from "@sluice/wire";

const INTRODUCTION = `# Pipeline file

<!-- Written by tools/generate-reference.ts from the schema in libs/wire; do not edit. -->

A pipeline file is YAML 1.2, so JSON too, of at most 1 MiB. It is refused whole, with every fault: its line and column, what was read and what was
expected. Tags, merge keys (\`<<\`) and a second document are not read. Text that looks like a number, begins with one of \`* & ! @ %\`, or holds \`: \` or
\` #\` goes between quotes.

\`\`\`yaml
# yaml-language-server: $schema=./pipeline.schema.json
name: orders
source:
  url: redis://10.0.0.1:7000
  user: sluice
  password: { env: SOURCE_PASSWORD }
destinations:
  - url: rediss://r-1.example:6379
    password: "admin:secret"
    tls: { ca: ca.pem }
\`\`\`

The first line is for editors: \`sluice schema > pipeline.schema.json\` writes the JSON Schema (draft 2020-12) that they complete and check by.

**Variables.** Every single value can be given by a variable of the environment instead, which then counts and not the file: \`SLUICE_PIPELINE_\` and the
path, with \`_\` between its parts and before each capital, in capitals: \`SLUICE_PIPELINE_SOURCE_PASSWORD\`, \`SLUICE_PIPELINE_DESTINATIONS_0_URL\`
(destinations count from 0). Lists, \`nodes\` and \`databases\` only the file can say. A variable of this beginning that stands for nothing is refused.

**Secrets** ([security](../security.md)). A password is plain text, \`{ env: NAME }\` or \`{ file: PATH }\`. It is read where the command runs, sealed where it is kept (AES-256-GCM, with
\`SLUICE_SECRET_KEY\`), and shown nowhere. Where \`user\` is absent, \`user:password\` is split at the first colon.

**Paths** in the file start at its own folder. Files of certificates are read by the services, at the same path on each of their machines; what is wrong
with one is [PIP-014](codes.md#pip-014).

**Durations** are \`500ms\`, \`30s\`, \`720m\`, \`12h\` or \`7d\`; **sizes** \`64KiB\`, \`500MB\`, \`20GB\` or \`4GiB\`. A number without a unit is refused.

## Fields
`;

/** The reference page of pipeline files. */
export function pipelinePage(): string {
  const variables = new Set(scalarFields().map(({ path }) => path.join()));
  const sections = fieldsOf(pipelineJsonSchema(), []).map((field) => section(field, variables));
  return `${INTRODUCTION}\n${sections.join("\n\n")}\n`;
}

interface NamedField {
  readonly path: readonly PropertyKey[];
  readonly schema: FieldSchema;
  readonly isRequired: boolean;
}

/** Every field, a group of fields before what is in it. What secrets are made of is told once, in the introduction. */
function fieldsOf(schema: FieldSchema, path: readonly PropertyKey[]): NamedField[] {
  return forms(schema).flatMap(({ properties = {}, required = [], items, additionalProperties }) => [
    ...Object.entries(properties).flatMap(([name, inner]) => {
      const field = { path: [...path, name], schema: inner, isRequired: required.includes(name) };
      return name === "password" ? [field] : [field, ...fieldsOf(inner, field.path)];
    }),
    ...(items === undefined ? [] : fieldsOf(items, [...path, 0])),
    ...(typeof additionalProperties === "object" ? fieldsOf(additionalProperties, [...path, "host:port"]) : []),
  ]);
}

function section({ path, schema, isRequired }: NamedField, variables: ReadonlySet<string>): string {
  const name = fieldName(path).replaceAll("[0]", "[]");
  const lines = [`### \`${name}\``, ""];
  if (schema.description !== undefined) lines.push(sentence(schema.description), "");
  if (NOT_YET.some(({ field }) => field === name))
    lines.push("_Not all of it is in this release: what is not is refused._", "");
  lines.push(`- takes: ${taken(schema)}`);
  const { default: byDefault } = schema;
  if (isRequired) lines.push("- must be there");
  else if (byDefault !== undefined && typeof byDefault !== "object")
    lines.push(`- default: \`${JSON.stringify(byDefault).replaceAll('"', "")}\``);
  else lines.push("- may be left out");
  if (variables.has(path.join())) lines.push(`- variable: \`${variableOf(path)}\``);
  return lines.join("\n");
}

function taken(schema: FieldSchema): string {
  return [...new Set(forms(schema).map(takenBy))].join(", or ");
}

function takenBy({
  type,
  enum: values,
  unit,
  minimum,
  maximum,
  items,
  minItems = 0,
  maxItems,
  properties,
  additionalProperties,
}: FieldSchema): string {
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(", ");
  if (type === "array")
    return `a list of ${minItems === 0 ? "at most" : `${minItems} to`} ${maxItems}, each ${taken(items ?? {})}`;
  if (typeof additionalProperties === "object") return `names, and with each ${taken(additionalProperties)}`;
  if (type === "object")
    return `fields: ${Object.keys(properties ?? {})
      .map((name) => `\`${name}\``)
      .join(", ")}`;
  if (type === "integer") return `a whole number, ${minimum} to ${maximum}`;
  if (type === "boolean") return "`true` or `false`";
  return unit ?? "text";
}

function sentence(text: string): string {
  const first = /^[a-z]+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.:]$/.test(first) ? first : `${first}.`;
}
