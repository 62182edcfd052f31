import { LuaError } from "./lua-value.ts";

/** Character classes of Lua's patterns (Lua 5.1 reference, 5.4.1), as they stand inside brackets. */
const CLASSES: Readonly<Record<string, string>> = {
  a: "A-Za-z",
  c: "\\x00-\\x1f\\x7f",
  d: "0-9",
  l: "a-z",
  p: "!-\\/:-@\\[-`{-~",
  s: "\\t-\\r ",
  u: "A-Z",
  w: "0-9A-Za-z",
  x: "0-9A-Fa-f",
};
const REPEATS: Readonly<Record<string, string>> = { "*": "*", "+": "+", "?": "?", "-": "*?" };
const COMPILED = new Map<string, RegExp>();

/** A pattern of Lua as a global regular expression. Without `%b`, `%f`, back references and position captures. */
export function luaPattern(pattern: string): RegExp {
  let compiled = COMPILED.get(pattern);
  if (compiled === undefined) {
    compiled = new RegExp(sourceOf(pattern), "g");
    COMPILED.set(pattern, compiled);
  }
  compiled.lastIndex = 0;
  return compiled;
}

function sourceOf(pattern: string): string {
  let source = "";
  for (let at = 0; at < pattern.length;) {
    const char = pattern[at] as string;
    if ((char === "^" && at === 0) || char === "(" || char === ")" || (char === "$" && at === pattern.length - 1)) {
      source += char;
      at++;
      continue;
    }
    const end = at + itemLength(pattern, at);
    source += item(pattern.slice(at, end));
    const repeat = REPEATS[pattern[end] ?? ""];
    source += repeat ?? "";
    at = repeat === undefined ? end : end + 1;
  }
  return source;
}

function itemLength(pattern: string, at: number): number {
  if (pattern[at] === "%") return 2;
  if (pattern[at] !== "[") return 1;
  let end = pattern[at + 1] === "^" ? at + 2 : at + 1;
  do end += pattern[end] === "%" ? 2 : 1;
  while (end < pattern.length && pattern[end] !== "]");
  if (pattern[end] !== "]") throw new LuaError("malformed pattern (missing ']')");
  return end + 1 - at;
}

function item(text: string): string {
  if (text === ".") return "[\\s\\S]";
  if (text.length === 1) return quoted(text);
  if (text.startsWith("%")) return single(text[1] as string);
  const isNot = text[1] === "^";
  let inside = "";
  for (let at = isNot ? 2 : 1; at < text.length - 1; at++) {
    const char = text[at] as string;
    const isRange = char === "-" && at > (isNot ? 2 : 1) && at < text.length - 2;
    if (char === "%") inside += CLASSES[text[++at] as string] ?? quoted(text[at] as string);
    else inside += isRange ? "-" : quoted(char);
  }
  return `[${isNot ? "^" : ""}${inside}]`;
}

function single(name: string): string {
  const known = CLASSES[name.toLowerCase()];
  if (known !== undefined) return name === name.toLowerCase() ? `[${known}]` : `[^${known}]`;
  if (/[\dbf]/.test(name)) throw new LuaError(`this model knows no %${name} in patterns`);
  return quoted(name);
}

function quoted(char: string): string {
  return /[A-Za-z0-9_ ]/.test(char) ? char : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
