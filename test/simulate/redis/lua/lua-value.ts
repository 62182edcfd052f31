/** A value of Lua. Strings have one character for each byte; nil is undefined. */
export type LuaValue = undefined | boolean | number | string | LuaTable | LuaFunction;

/** A function of the library: values in, values out. */
export type LuaFunction = (args: LuaValue[]) => LuaValue[];

/** A table: elements from 1 on without a gap, and the rest. */
export class LuaTable {
  readonly items: LuaValue[];
  #fields: Map<LuaValue, LuaValue> | null = null;

  /** `items`: without nil; they become the table's own. */
  constructor(items: LuaValue[] = []) {
    this.items = items;
  }

  /** A table with one field. */
  static with(field: string, value: LuaValue): LuaTable {
    const table = new LuaTable();
    table.set(field, value);
    return table;
  }

  /** What is no element, in the order in which it came. */
  get fields(): Iterable<[LuaValue, LuaValue]> {
    return this.#fields ?? [];
  }

  /** The border: elements from 1 on. */
  get length(): number {
    return this.items.length;
  }

  get(key: LuaValue): LuaValue {
    if (typeof key === "number" && key >= 1 && key <= this.items.length) return this.items[key - 1];
    return this.#fields?.get(key);
  }

  set(key: LuaValue, value: LuaValue): void {
    const { items } = this;
    if (typeof key !== "number" || key < 1 || key > items.length + 1 || !Number.isInteger(key)) this.#setField(key, value);
    else if (value === undefined) {
      // What stands behind a gap is no element any more, but stays reachable.
      for (let at = key; at < items.length; at++) this.#setField(at + 1, items[at]);
      items.length = Math.min(items.length, key - 1);
    } else {
      items[key - 1] = value;
      this.#takeBehind();
    }
  }

  #setField(key: LuaValue, value: LuaValue): void {
    if (value === undefined) this.#fields?.delete(key);
    else (this.#fields ??= new Map()).set(key, value);
  }

  /** Fields that follow the last element become elements. */
  #takeBehind(): void {
    const fields = this.#fields;
    if (fields === null) return;
    fields.delete(this.items.length);
    for (let next = this.items.length + 1; fields.has(next); next++) {
      this.items.push(fields.get(next));
      fields.delete(next);
    }
  }
}

/** What `error` throws: a text or a table. */
export class LuaError extends Error {
  override readonly name = "LuaError";
  readonly value: LuaValue;

  constructor(value: LuaValue) {
    super(typeof value === "string" ? value : "an error table");
    this.value = value;
  }
}

export function isTrue(value: LuaValue): boolean {
  return value !== undefined && value !== false;
}

export function typeName(value: LuaValue): string {
  if (value === undefined) return "nil";
  if (value instanceof LuaTable) return "table";
  return typeof value;
}

/** `%.14g`: a number as text. */
export function numberText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e14) return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const [mantissa = "", exponent = "0"] = value.toExponential(13).split("e");
  const power = Number(exponent);
  const short = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (power >= -4 && power < 14) return short(value.toFixed(13 - power));
  return `${short(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** A number, or a text that is one; else undefined. */
export function toNumber(value: LuaValue): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const number = Number(value);
  return Number.isNaN(number) ? undefined : number;
}

export function toText(value: LuaValue): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return numberText(value);
  if (typeof value === "boolean") return String(value);
  return value === undefined ? "nil" : `${typeName(value)}: 0x0`;
}
