import { z } from "zod";

type Json = Readonly<Record<string, unknown>>;
type Content = Readonly<Record<string, { readonly schema: Json }>>;
interface Operation {
  readonly responses: Readonly<Record<string, { readonly content: Content }>>;
}
interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>> };
}

/** An answer of an API as it came. */
export interface ApiReply {
  readonly status: number;
  /** Of its `content-type`, without parameters. */
  readonly media: string;
  readonly body: string;
}

/** What an OpenAPI document promises, to hold answers against it. */
export class ApiContract {
  readonly #document: OpenApiDocument;

  /** `document`: the text of an OpenAPI 3.1 document whose schemas stand under `components`. */
  constructor(document: string) {
    // Where a JSON Schema that stands by itself keeps the schemas that it refers to.
    this.#document = JSON.parse(document.replaceAll("#/components/schemas/", "#/$defs/")) as OpenApiDocument;
  }

  /** The JSON of an answer. Throws where the document names no such path, method, status or medium, and where the content differs. */
  check(method: string, path: string, { status, media, body }: ApiReply): unknown {
    const what = `${method} ${path}: ${status} ${media}`;
    const content = this.#operation(method, path).responses[String(status)]?.content[media];
    if (content === undefined) throw new Error(`${what} is not in the document: ${body.slice(0, 500)}`);
    return this.#parse(what, content.schema, media === "application/json" ? JSON.parse(body) : body);
  }

  /** The JSON of a text that the schema of this name under `components` describes. Throws as `check` does. */
  checkNamed(name: string, text: string): unknown {
    return this.#parse(name, { $ref: `#/$defs/${name}` }, JSON.parse(text));
  }

  #operation(method: string, path: string): Operation {
    const asked = path.split("?")[0]?.split("/") ?? [];
    const isAsked = (template: string): boolean => {
      const parts = template.split("/");
      return parts.length === asked.length && parts.every((part, at) => part.startsWith("{") || part === asked[at]);
    };
    const found = Object.entries(this.#document.paths)
      .filter(([template]) => isAsked(template))
      // `/codes` and `/codes/{code}` never meet; a parameter comes last all the same.
      .toSorted(([a], [b]) => a.split("{").length - b.split("{").length)[0];
    const operation = found?.[1][method.toLowerCase()];
    if (operation === undefined) throw new Error(`${method} ${path} is not in the document`);
    return operation;
  }

  #parse(what: string, schema: Json, value: unknown): unknown {
    const whole = { $defs: this.#document.components.schemas, ...schema };
    const { success, error } = z.fromJSONSchema(whole).safeParse(value);
    if (!success) throw new Error(`${what} is not as the document says: ${z.prettifyError(error)}\n${JSON.stringify(value)}`);
    return value;
  }
}
