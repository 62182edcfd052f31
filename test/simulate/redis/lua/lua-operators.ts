import { isTrue, LuaError, LuaTable, toNumber, toText, typeName, type LuaValue } from "./lua-value.ts";

export type BinaryOperator = (one: LuaValue, other: LuaValue) => LuaValue;

/** Binding powers (left, right) of binary operators; `and` and `or` are no functions, since they may skip their right side. */
export const POWERS: Readonly<Record<string, readonly [left: number, right: number]>> = {
  or: [1, 2],
  and: [3, 4],
  "<": [5, 6],
  ">": [5, 6],
  "<=": [5, 6],
  ">=": [5, 6],
  "~=": [5, 6],
  "==": [5, 6],
  "..": [8, 7],
  "+": [9, 10],
  "-": [9, 10],
  "*": [11, 12],
  "/": [11, 12],
  "%": [11, 12],
  "^": [16, 15],
};

/** Unary operators bind stronger than all but `^`. */
export const UNARY_POWER = 13;

function arithmetic(compute: (one: number, other: number) => number): BinaryOperator {
  return (one, other) => {
    const [left, right] = [toNumber(one), toNumber(other)];
    if (left === undefined || right === undefined) {
      throw new LuaError(`attempt to perform arithmetic on a ${typeName(left === undefined ? one : other)} value`);
    }
    return compute(left, right);
  };
}

function ordering(compare: (one: number | string, other: number | string) => boolean): BinaryOperator {
  return (one, other) => {
    if (typeof one === "number" && typeof other === "number") return compare(one, other);
    if (typeof one === "string" && typeof other === "string") return compare(one, other);
    throw new LuaError(`attempt to compare ${typeName(one)} with ${typeName(other)}`);
  };
}

function joined(one: LuaValue, other: LuaValue): string {
  for (const value of [one, other]) {
    if (typeof value !== "string" && typeof value !== "number") {
      throw new LuaError(`attempt to concatenate a ${typeName(value)} value`);
    }
  }
  return toText(one) + toText(other);
}

export const BINARY: Readonly<Record<string, BinaryOperator>> = {
  "<": ordering((one, other) => one < other),
  ">": ordering((one, other) => one > other),
  "<=": ordering((one, other) => one <= other),
  ">=": ordering((one, other) => one >= other),
  "==": (one, other) => one === other,
  "~=": (one, other) => one !== other,
  "..": joined,
  "+": arithmetic((one, other) => one + other),
  "-": arithmetic((one, other) => one - other),
  "*": arithmetic((one, other) => one * other),
  "/": arithmetic((one, other) => one / other),
  "%": arithmetic((one, other) => one - Math.floor(one / other) * other),
  "^": arithmetic((one, other) => one ** other),
};

export const UNARY: Readonly<Record<string, (value: LuaValue) => LuaValue>> = {
  not: (value) => !isTrue(value),
  "-": (value) => BINARY["-"]?.(0, value),
  "#": (value) => {
    if (typeof value === "string" || value instanceof LuaTable) return value.length;
    throw new LuaError(`attempt to get length of a ${typeName(value)} value`);
  },
};
