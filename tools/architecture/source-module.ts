import { parseAst } from "vitest/node";

export interface ModuleReference {
  readonly line: number;
  readonly form: "import" | "export from" | "import()" | "require()" | "createRequire" | "import.meta.resolve()";
  /** Null where the target is computed, and for the bare mention of `createRequire`. */
  readonly target: string | null;
  /** True where nothing of it is left at run time. */
  readonly isTypeOnly: boolean;
}

/** What the rules want to know of one TypeScript source. */
export interface SourceModule {
  readonly path: string;
  readonly lineCount: number;
  readonly references: readonly ModuleReference[];
  /** Lines that mention `process.exit`. */
  readonly exitLines: readonly number[];
}

/** A node of an ESTree with TypeScript in it. Fields differ per type and are looked at one by one. */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly [field: string]: unknown;
}

/** Parses `text`. Throws an Error that names `path` where it is not TypeScript. */
export function readModule(path: string, text: string): SourceModule {
  const references: ModuleReference[] = [];
  const exitLines: number[] = [];
  let program: unknown;
  try {
    // oxlint-disable-next-line typescript/no-deprecated -- its successor, vite's parseSync, is not among vitest's exports
    program = parseAst(text, { lang: "ts" });
  } catch (error) {
    throw new Error(`${path}: expected TypeScript: ${String(error)}`, { cause: error });
  }
  for (const node of walk(program)) {
    const reference = referenceOf(node);
    if (reference !== undefined) references.push({ ...reference, line: lineOf(text, node) });
    if (mentionsExit(node)) exitLines.push(lineOf(text, node));
  }
  return { path, lineCount: countLines(text), references, exitLines };
}

/** Lines as an editor counts them: the newline at the end begins no further line. */
export function countLines(text: string): number {
  return text === "" ? 0 : text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

function referenceOf(node: Node): Omit<ModuleReference, "line"> | undefined {
  if (mentionsCreateRequire(node)) return { form: "createRequire", target: null, isTypeOnly: false };
  switch (node.type) {
    case "ImportDeclaration":
      return { form: "import", target: literal(node["source"]), isTypeOnly: isTypeOnly(node, "importKind") };
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
      if (!isNode(node["source"])) return undefined;
      return { form: "export from", target: literal(node["source"]), isTypeOnly: isTypeOnly(node, "exportKind") };
    case "ImportExpression":
      return { form: "import()", target: literal(node["source"]), isTypeOnly: false };
    case "TSImportType":
      return { form: "import", target: literal(node["source"]), isTypeOnly: true };
    case "TSExternalModuleReference":
      return { form: "require()", target: literal(node["expression"]), isTypeOnly: false };
    case "CallExpression": {
      const [first] = listOf(node["arguments"]);
      if (isName(node["callee"], "require")) return { form: "require()", target: literal(first), isTypeOnly: false };
      if (isImportMetaResolve(node["callee"]))
        return { form: "import.meta.resolve()", target: literal(first), isTypeOnly: false };
      return undefined;
    }
    default:
      return undefined;
  }
}

/** `import type`, or an import whose every name is a type. An import without names is there for its effect. */
function isTypeOnly(node: Node, kind: "importKind" | "exportKind"): boolean {
  if (node[kind] === "type") return true;
  const names = listOf(node["specifiers"]);
  return names.length > 0 && names.every((name) => name[kind] === "type");
}

function mentionsCreateRequire(node: Node): boolean {
  if (node.type === "ImportSpecifier") return isName(node["imported"], "createRequire");
  return node.type === "MemberExpression" && isName(node["property"], "createRequire");
}

function mentionsExit(node: Node): boolean {
  if (node.type === "MemberExpression" && isName(node["object"], "process")) {
    return isName(node["property"], "exit") || literal(node["property"]) === "exit";
  }
  if (node.type !== "ImportDeclaration" || !/^(node:)?process$/.test(literal(node["source"]) ?? "")) return false;
  const names = listOf(node["specifiers"]);
  return names.some((name) => isName(name["imported"], "exit"));
}

function isImportMetaResolve(callee: unknown): boolean {
  if (!isNode(callee) || callee.type !== "MemberExpression" || !isName(callee["property"], "resolve")) return false;
  return isNode(callee["object"]) && callee["object"].type === "MetaProperty";
}

function literal(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type === "Literal" && typeof node["value"] === "string") return node["value"];
  if (node.type !== "TemplateLiteral" || !Array.isArray(node["quasis"]) || node["quasis"].length !== 1) return null;
  const [whole] = node["quasis"] as [{ value: { cooked: string } }];
  return whole.value.cooked;
}

function isName(node: unknown, name: string): boolean {
  return isNode(node) && node.type === "Identifier" && node["name"] === name;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function listOf(value: unknown): Node[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

function* walk(value: unknown): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  if (isNode(value)) yield value;
  for (const child of Object.values(value)) yield* walk(child);
}

function lineOf(text: string, { start }: Node): number {
  return text.slice(0, start).split("\n").length;
}
