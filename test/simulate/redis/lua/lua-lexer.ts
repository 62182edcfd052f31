export interface LuaToken {
  readonly kind: "name" | "number" | "string" | "symbol" | "end";
  readonly text: string;
  readonly line: number;
}

const TOKEN =
  /(?<space>[ \t\r\n]+|--\[\[[\s\S]*?\]\]|--[^\n]*)|(?<name>[A-Za-z_]\w*)|(?<number>0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?)|(?<quoted>'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*")|\[\[(?<long>[\s\S]*?)\]\]|(?<symbol>\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}[\];:,.])/y;

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", a: "\x07", b: "\b", f: "\f", v: "\v" };

/** Cuts Lua source (one character for each byte) into tokens. Throws `SyntaxError`. */
export function luaTokens(source: string): LuaToken[] {
  const tokens: LuaToken[] = [];
  let line = 1;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const from = TOKEN.lastIndex;
    const groups = TOKEN.exec(source)?.groups;
    if (groups === undefined) throw new SyntaxError(`user_script:${line}: unexpected symbol near '${source[from] ?? ""}'`);
    const { name, number, quoted, long, symbol } = groups;
    if (name !== undefined) tokens.push({ kind: "name", text: name, line });
    else if (number !== undefined) tokens.push({ kind: "number", text: number, line });
    else if (quoted !== undefined) tokens.push({ kind: "string", text: unescaped(quoted.slice(1, -1)), line });
    else if (long !== undefined) tokens.push({ kind: "string", text: long.replace(/^\r?\n/, ""), line });
    else if (symbol !== undefined) tokens.push({ kind: "symbol", text: symbol, line });
    line += source.slice(from, TOKEN.lastIndex).split("\n").length - 1;
  }
  tokens.push({ kind: "end", text: "<eof>", line });
  return tokens;
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(\d{1,3}|[\s\S])/g, (_, escape: string) =>
    /^\d/.test(escape) ? String.fromCharCode(Number(escape)) : (ESCAPES[escape] ?? escape),
  );
}
