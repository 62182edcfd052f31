type Json = Readonly<Record<string, unknown>>;

const METHODS = new Set(["get", "put", "post", "delete", "patch"]);
const TYPES = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);

/** Keywords of JSON Schema 2020-12 that documents of ours use, by what their value has to be. */
const KEYWORDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  $ref: isText,
  title: isText,
  description: isText,
  type: (value) => [value].flat().every((type) => TYPES.has(type as string)),
  properties: isObject,
  required: (value) => isListOf(value, isText),
  additionalProperties: (value) => typeof value === "boolean" || isObject(value),
  propertyNames: isObject,
  items: isObject,
  anyOf: (value) => isListOf(value, isObject) && (value as []).length > 0,
  allOf: (value) => isListOf(value, isObject) && (value as []).length > 0,
  enum: (value) => Array.isArray(value) && value.length > 0,
  const: () => true,
  default: () => true,
  examples: Array.isArray,
  minimum: isNumber,
  maximum: isNumber,
  exclusiveMinimum: isNumber,
  exclusiveMaximum: isNumber,
  minLength: isNumber,
  maxLength: isNumber,
  minItems: isNumber,
  maxItems: isNumber,
  pattern: (value) => isText(value) && new RegExp(value as string, "u") instanceof RegExp,
  format: isText,
  unit: isText,
};

/**
 * What is wrong with an OpenAPI 3.1 document: every fault with its place, by the tables of the specification ("Fixed Fields") as far as
 * documents of ours go; a field that is not in them is a fault, too.
 */
export function faultsOfOpenApi(document: Json): string[] {
  return new OpenApiCheck(document).faults();
}

class OpenApiCheck {
  readonly #document: Json;
  readonly #faults: string[] = [];
  readonly #operations = new Set<unknown>();

  constructor(document: Json) {
    this.#document = document;
  }

  faults(): string[] {
    const optional = ["servers", "tags", "jsonSchemaDialect"];
    const whole = this.#fields("document", this.#document, ["openapi", "info", "paths", "components"], optional);
    const { openapi, info, paths, components } = whole;
    if (!/^3\.1\.\d+$/.test(String(openapi))) this.#fault("document", `openapi ${String(openapi)}`);
    this.#fields("info", info, ["title", "version"], ["description", "license"]);
    for (const [path, item] of entriesOf(paths)) {
      if (!path.startsWith("/")) this.#fault(path, "a path begins with /");
      for (const [method, value] of entriesOf(item)) {
        if (!METHODS.has(method)) this.#fault(path, `method ${method}`);
        this.#operation(`${method} ${path}`, path, value);
      }
    }
    const { schemas } = this.#fields("components", components, ["schemas", "securitySchemes"]);
    for (const [name, value] of entriesOf(schemas)) this.#schema(`schemas/${name}`, value);
    return this.#faults;
  }

  #fault(place: string, what: string): void {
    this.#faults.push(`${place}: ${what}`);
  }

  #fields(place: string, value: unknown, required: readonly string[], optional: readonly string[] = []): Json {
    if (!isObject(value)) {
      this.#fault(place, "expected an object");
      return {};
    }
    for (const name of required) if (!(name in value)) this.#fault(place, `lacks ${name}`);
    for (const name of Object.keys(value)) {
      if (!required.includes(name) && !optional.includes(name)) this.#fault(place, `unknown field ${name}`);
    }
    return value;
  }

  #schema(place: string, value: unknown): void {
    if (!isObject(value)) return this.#fault(place, "expected a schema");
    for (const [keyword, content] of Object.entries(value)) {
      if (KEYWORDS[keyword]?.(content) !== true) this.#fault(place, `${keyword} is ${JSON.stringify(content)}`);
    }
    for (const name of (value["required"] as string[] | undefined) ?? []) {
      if (!isObject(value["properties"]) || !(name in value["properties"]))
        this.#fault(place, `requires ${name}, which it lacks`);
    }
    const target = value["$ref"];
    if (typeof target === "string" && resolved(this.#document, target) === undefined) {
      this.#fault(place, `${target} leads nowhere`);
    }
    for (const [name, inner] of innerSchemas(value)) this.#schema(`${place}/${name}`, inner);
  }

  #content(place: string, value: unknown): void {
    for (const [media, item] of entriesOf(value)) {
      if (!/^[a-z]+\/[a-z0-9.+-]+$/.test(media)) this.#fault(place, `${media} is no media type`);
      this.#schema(`${place}/${media}`, this.#fields(`${place}/${media}`, item, ["schema"])["schema"]);
    }
  }

  #operation(place: string, path: string, value: unknown): void {
    const required = ["operationId", "tags", "summary", "responses", "security"];
    const operation = this.#fields(place, value, required, ["parameters", "requestBody", "description"]);
    const { operationId, parameters = [], requestBody, responses, security = [], tags = [] } = operation;
    if (this.#operations.has(operationId)) this.#fault(place, `operationId ${String(operationId)} twice`);
    this.#operations.add(operationId);
    const declared = new Set(((this.#document["tags"] as Json[] | undefined) ?? []).map(({ name }) => name));
    for (const tag of tags as string[]) if (!declared.has(tag)) this.#fault(place, `tag ${tag} is not declared`);
    this.#parameters(place, path, parameters as unknown[]);
    if (requestBody !== undefined) {
      this.#content(place, this.#fields(`${place}/requestBody`, requestBody, ["content", "required"])["content"]);
    }
    this.#responses(place, responses);
    for (const name of (security as Json[]).flatMap((requirement) => Object.keys(requirement))) {
      const scheme = resolved(this.#document, `#/components/securitySchemes/${name}`);
      if (scheme === undefined) this.#fault(place, `no security scheme ${name}`);
    }
  }

  #parameters(place: string, path: string, parameters: readonly unknown[]): void {
    const named: unknown[] = [];
    for (const [index, parameter] of parameters.entries()) {
      const at = `${place}/parameters/${index}`;
      const found = this.#fields(at, parameter, ["name", "in", "required", "schema", "description"]);
      const { name, in: where, required, schema } = found;
      if (where !== "path" && where !== "query") this.#fault(at, `in ${String(where)}`);
      if (where === "path" && required !== true) this.#fault(at, "a parameter of the path has to be required");
      if (where === "path") named.push(name);
      this.#schema(at, schema);
    }
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    if (JSON.stringify(named) !== JSON.stringify(inPath)) this.#fault(place, `parameters of the path: ${String(named)}`);
  }

  #responses(place: string, responses: unknown): void {
    const statuses = entriesOf(responses);
    if (!statuses.some(([status]) => status.startsWith("2"))) this.#fault(place, "no answer of success");
    for (const [status, response] of statuses) {
      if (!/^[1-5]\d\d$/.test(status)) this.#fault(place, `status ${status}`);
      const { description, content } = this.#fields(`${place}/${status}`, response, ["description", "content"]);
      if (!isText(description)) this.#fault(`${place}/${status}`, "lacks a description");
      this.#content(`${place}/${status}`, content);
    }
  }
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(isObject(value) ? value : {});
}

function innerSchemas(schema: Json): [string, unknown][] {
  const lists = ["anyOf", "allOf"].flatMap((name) =>
    ((schema[name] as unknown[] | undefined) ?? []).map((inner, index): [string, unknown] => [`${name}/${index}`, inner]),
  );
  const named = Object.entries(isObject(schema["properties"]) ? schema["properties"] : {});
  const single = ["items", "additionalProperties", "propertyNames"].map((name): [string, unknown] => [name, schema[name]]);
  return [...named, ...lists, ...single].filter(([, inner]) => isObject(inner));
}

function resolved(document: Json, target: string): unknown {
  if (!target.startsWith("#/")) return undefined;
  return target
    .slice(2)
    .split("/")
    .reduce<unknown>((value, step) => (isObject(value) ? value[step] : undefined), document);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function isNumber(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value);
}

function isListOf(value: unknown, holds: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(holds);
}
