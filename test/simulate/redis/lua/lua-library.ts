import { luaPattern } from "./lua-pattern.ts";
import { LuaError, LuaTable, toNumber, toText, typeName, type LuaFunction, type LuaValue } from "./lua-value.ts";

/** Lua's stack has room for so many values (LUAI_MAXCSTACK): `unpack` fails above it. */
const MOST_UNPACKED = 8000;

function tableOf(value: LuaValue): LuaTable {
  if (value instanceof LuaTable) return value;
  throw new LuaError(`bad argument #1 (table expected, got ${typeName(value)})`);
}

function unpack([table, from, to]: LuaValue[]): LuaValue[] {
  const source = tableOf(table);
  const [first, last] = [toNumber(from) ?? 1, toNumber(to) ?? source.length];
  if (last - first >= MOST_UNPACKED) throw new LuaError("too many results to unpack");
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => source.get(first + index));
}

function iterate([table]: LuaValue[]): LuaValue[] {
  const source = tableOf(table);
  const next: LuaFunction = ([, at]) => {
    const index = (toNumber(at) ?? 0) + 1;
    const value = source.get(index);
    return value === undefined ? [] : [index, value];
  };
  return [next, table, 0];
}

function iterateAll([table]: LuaValue[]): LuaValue[] {
  const source = tableOf(table);
  const entries: LuaValue[][] = [...source.items.map((value, index) => [index + 1, value]), ...source.fields];
  let at = 0;
  return [() => entries[at++] ?? []];
}

function sub([text, from, to]: LuaValue[]): LuaValue[] {
  const source = toText(text);
  const place = (value: LuaValue, otherwise: number): number => {
    const given = toNumber(value) ?? otherwise;
    return given < 0 ? Math.max(0, source.length + given + 1) : given;
  };
  return [source.slice(Math.max(1, place(from, 1)) - 1, place(to, -1))];
}

function match([text, pattern, from]: LuaValue[]): LuaValue[] {
  const found = luaPattern(toText(pattern)).exec(toText(text).slice((toNumber(from) ?? 1) - 1));
  if (found === null) return [undefined];
  return found.length > 1 ? found.slice(1) : [found[0]];
}

function find([text, pattern, from, isPlain]: LuaValue[]): LuaValue[] {
  const [source, start] = [toText(text), (toNumber(from) ?? 1) - 1];
  if (isPlain === true) {
    const at = source.indexOf(toText(pattern), start);
    return at < 0 ? [undefined] : [at + 1, at + toText(pattern).length];
  }
  const found = luaPattern(toText(pattern)).exec(source.slice(start));
  if (found === null) return [undefined];
  const at = start + found.index;
  return [at + 1, at + found[0].length, ...found.slice(1)];
}

/** With a text in place of what matches; `%0` to `%9` stand for captures. */
function substitute([text, pattern, replacement, most]: LuaValue[]): LuaValue[] {
  const template = toText(replacement);
  const limit = toNumber(most) ?? Infinity;
  let count = 0;
  const result = toText(text).replace(luaPattern(toText(pattern)), (whole: string, ...rest: (string | number)[]) => {
    if (count >= limit) return whole;
    count++;
    return template.replaceAll(/%(.)/g, (_, sign: string) => {
      if (!/\d/.test(sign)) return sign;
      return sign === "0" ? whole : String(rest[Number(sign) - 1] ?? whole);
    });
  });
  return [result, count];
}

function module(functions: Readonly<Record<string, LuaFunction>>): LuaTable {
  const table = new LuaTable();
  for (const [name, value] of Object.entries(functions)) table.set(name, value);
  return table;
}

/** The part of Lua's library that needs nothing of the server. */
export const LUA_LIBRARY: ReadonlyMap<string, LuaValue> = new Map<string, LuaValue>([
  ["type", ([value]) => [typeName(value)]],
  ["tonumber", ([value]) => [toNumber(value)]],
  ["tostring", ([value]) => [toText(value)]],
  [
    "error",
    ([value]) => {
      throw new LuaError(value);
    },
  ],
  ["unpack", unpack],
  ["ipairs", iterate],
  ["pairs", iterateAll],
  [
    "string",
    module({
      sub,
      match,
      find,
      gsub: substitute,
      len: ([text]) => [toText(text).length],
      lower: ([text]) => [toText(text).toLowerCase()],
      upper: ([text]) => [toText(text).toUpperCase()],
      rep: ([text, count]) => [toText(text).repeat(Math.max(0, toNumber(count) ?? 0))],
      byte: ([text, at]) => [toText(text).charCodeAt((toNumber(at) ?? 1) - 1) || undefined],
      char: (codes) => [String.fromCharCode(...codes.map((code) => toNumber(code) ?? 0))],
    }),
  ],
  [
    "table",
    module({
      insert: ([table, one, other]) => {
        const target = tableOf(table);
        if (other === undefined) target.set(target.length + 1, one);
        else target.items.splice((toNumber(one) ?? 1) - 1, 0, other);
        return [];
      },
      remove: ([table]) => [tableOf(table).items.pop()],
      concat: ([table, separator, from, to]) => [
        tableOf(table)
          .items.slice((toNumber(from) ?? 1) - 1, toNumber(to))
          .map(toText)
          .join(separator === undefined ? "" : toText(separator)),
      ],
      unpack,
    }),
  ],
  [
    "math",
    module({
      floor: ([value]) => [Math.floor(toNumber(value) ?? 0)],
      ceil: ([value]) => [Math.ceil(toNumber(value) ?? 0)],
      max: (values) => [Math.max(...values.map((value) => toNumber(value) ?? 0))],
      min: (values) => [Math.min(...values.map((value) => toNumber(value) ?? 0))],
      abs: ([value]) => [Math.abs(toNumber(value) ?? 0)],
    }),
  ],
]);
