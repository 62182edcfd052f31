import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLError,
} from "yaml";

/** A position in a file; both count from 1. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

export interface YamlFault extends TextPlace {
  readonly message: string;
}

/** No pipeline file comes near; what is read beyond it is most likely another file. */
const MAX_YAML_BYTES = 2 ** 20;
const MAX_FAULTS = 20;
/** A pipeline file nests 4 deep. */
const MAX_DEPTH = 64;
const TOO_DEEP = "nested too deep to be a pipeline file";

/** Messages for what goes wrong most; others are told as the library says it. */
const MESSAGES: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: "a tab as indentation: expected spaces",
  MULTIPLE_DOCS: "a second document begins: expected one, without a line `---` in between",
  BAD_ALIAS: "an alias of nothing: put text that begins with * between quotes",
  TAG_RESOLVE_FAILED: "a tag (!…): put text that begins with ! between quotes",
  BAD_SCALAR_START: "text can't begin with this character: put it between quotes",
  BLOCK_AS_IMPLICIT_KEY: "a second `name: value` in one line: put text that holds `: ` between quotes, or begin a new line",
  MULTILINE_IMPLICIT_KEY: "expected `name: value` in this line, with a space behind the colon",
  BAD_INDENT: "indented otherwise than the lines beside it, or a bracket before it is still open",
};

/** YAML text as a value, with the place where each part of it stands. */
export class YamlText {
  readonly value: unknown;
  /** What keeps the text from being read; `value` is then of no use. */
  readonly faults: readonly YamlFault[];
  readonly #document: Document | null;
  readonly #lines = new LineCounter();

  constructor(text: string) {
    const broken = faultOfWhole(text);
    const document = broken === null ? this.#parse(text) : null;
    // The library reports its own exhausted stack as if the text were at fault.
    if (document === null || document.errors.some(({ message }) => message.includes("call stack"))) {
      this.faults = [{ line: 1, column: 1, message: broken ?? TOO_DEEP }];
      this.#document = null;
      return;
    }
    this.#document = document;
    const found = [...document.errors, ...document.warnings].map((error) => this.#faultOf(error, text));
    const read = found.length > 0 ? [] : this.#structureFaults(document);
    const unread = found.length + read.length > 0 ? null : this.#toValue(document);
    this.value = unread?.value;
    const faults = [...found, ...read, ...(unread?.faults ?? [])];
    // What follows from the first fault of a place says nothing more.
    const isFirst = ({ line, column }: YamlFault, at: number): boolean =>
      faults.findIndex((fault) => fault.line === line && fault.column === column) === at;
    this.faults = faults.filter(isFirst).slice(0, MAX_FAULTS);
  }

  /**
   * Where the value at `path` stands, or the nearest above it that is in the text. A list or a group of fields stands where its
   * name does. `isName`: where its name stands, whatever it holds.
   */
  placeOf(path: readonly PropertyKey[], isName = false): TextPlace {
    let node: unknown = this.#document?.contents;
    let at: unknown = node;
    for (const [depth, step] of path.entries()) {
      node = resolved(node, this.#document);
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
        if (pair === undefined) break;
        const isLast = depth === path.length - 1;
        at = isScalar(pair.value) && !(isLast && isName) && pair.value.value !== null ? pair.value : pair.key;
        node = pair.value;
      } else if (isSeq(node)) {
        const item: unknown = node.items[Number(step)];
        if (item === undefined) break;
        at = node = item;
      } else break;
    }
    return isNode(at) && Array.isArray(at.range) ? this.#placeAt(at.range[0]) : { line: 1, column: 1 };
  }

  #parse(text: string): Document | null {
    try {
      return parseDocument(text, { lineCounter: this.#lines, logLevel: "error" });
    } catch (cause) {
      if (cause instanceof RangeError) return null;
      throw cause;
    }
  }

  #placeAt(offset: number): TextPlace {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  #faultOf(error: YAMLError, text: string): YamlFault {
    const place = this.#placeAt(error.pos[0]);
    if (error.code === "DUPLICATE_KEY") {
      const name = /^["']?([\w-]{1,40})/.exec(text.slice(error.pos[0]))?.[1];
      return {
        ...place,
        message: `${name === undefined ? "a field" : `the field "${name}"`} stands there twice: expected once`,
      };
    }
    // What stands behind a colon quotes the text, in which there may be a secret.
    const said = (error.message.split("\n")[0] as string).replace(/ at line \d+.*$/, "").replace(/:\s.*$/, "");
    return { ...place, message: MESSAGES[error.code] ?? `${said}: expected YAML` };
  }

  /** Names that are none, and YAML of other versions that would be read as something else than was meant. */
  #structureFaults(document: Document): YamlFault[] {
    const faults: YamlFault[] = [];
    let isTooDeep = false;
    visit(document, {
      Node: (_key, _node, above) => {
        if (above.length <= 2 * MAX_DEPTH) return undefined;
        isTooDeep = true;
        return visit.BREAK;
      },
      Pair: (_key, { key }) => {
        const place = isNode(key) && Array.isArray(key.range) ? this.#placeAt(key.range[0]) : { line: 1, column: 1 };
        if (!isScalar(key)) faults.push({ ...place, message: "expected the name of a field, found something else" });
        else if (key.value === "<<") faults.push({ ...place, message: "merge keys (<<) are not read: write the fields out" });
        return undefined;
      },
    });
    return isTooDeep ? [{ line: 1, column: 1, message: TOO_DEEP }] : faults;
  }

  /** Aliases that unfold to more than a pipeline file can need, or that hold themselves, are found only here. */
  #toValue(document: Document): { value: unknown; faults: YamlFault[] } {
    let first: Node | null = null;
    let isEndless = false;
    const missing: YamlFault[] = [];
    visit(document, {
      Alias: (_key, alias, above) => {
        first ??= alias;
        const target = alias.resolve(document);
        if (target === undefined)
          missing.push({ ...this.#placeAt(alias.range?.[0] ?? 0), message: MESSAGES["BAD_ALIAS"] as string });
        else isEndless ||= above.some((node) => node === target);
      },
    });
    if (missing.length > 0) return { value: undefined, faults: missing };
    const place = (): TextPlace => (Array.isArray(first?.range) ? this.#placeAt(first.range[0]) : { line: 1, column: 1 });
    const message = "aliases (*) unfold to more than a pipeline file can hold: write the values out";
    if (isEndless) return { value: undefined, faults: [{ ...place(), message }] };
    try {
      return { value: document.toJS() as unknown, faults: [] };
    } catch {
      return { value: undefined, faults: [{ ...place(), message }] };
    }
  }
}

function resolved(node: unknown, document: Document | null): unknown {
  return isAlias(node) && document !== null ? node.resolve(document) : node;
}

function faultOfWhole(text: string): string | null {
  const sizeBytes = new TextEncoder().encode(text).length;
  if (sizeBytes > MAX_YAML_BYTES) return `the file holds more than 1 MiB: expected a pipeline file`;
  if (text.includes("\0")) return "the file holds bytes that are no text: expected a pipeline file in UTF-8";
  return null;
}
