import { BINARY } from "./lua-operators.ts";
import { isTrue, LuaError, LuaTable, toNumber, typeName, type LuaFunction, type LuaValue } from "./lua-value.ts";

/** A running chunk: its variables, the names it finds outside, what it returns, and the line it is at. */
export interface LuaFrame {
  readonly locals: LuaValue[];
  readonly globals: ReadonlyMap<string, LuaValue>;
  result: LuaValue[];
  line: number;
}

export type Expression = (frame: LuaFrame) => LuaValue;
export type Several = (frame: LuaFrame) => LuaValue[];
/** What a statement ends with: on to the next, out of the loop, out of the chunk. */
export type Statement = (frame: LuaFrame) => "next" | "break" | "return";

export interface Node {
  readonly one: Expression;
  /** All values, where an expression may have several (a call). */
  readonly all?: Several;
  /** Where it may stand on the left of `=`. */
  readonly assign?: (frame: LuaFrame, value: LuaValue) => void;
}

export function located(cause: LuaError, line: number): LuaError {
  if (cause.value instanceof LuaTable) {
    if (cause.value.get("line") === undefined) cause.value.set("line", line);
    return cause;
  }
  const table = new LuaTable();
  table.set("err", `ERR user_script:${line}: ${cause.message}`);
  table.set("line", line);
  return new LuaError(table);
}

export function constant(value: LuaValue): Expression {
  return () => value;
}

export function binary(operator: string, one: Expression, other: Expression): Expression {
  if (operator === "and") {
    return (frame) => {
      const left = one(frame);
      return isTrue(left) ? other(frame) : left;
    };
  }
  if (operator === "or") {
    return (frame) => {
      const left = one(frame);
      return isTrue(left) ? left : other(frame);
    };
  }
  const compute = BINARY[operator] as (typeof BINARY)[string];
  return (frame) => compute(one(frame), other(frame));
}

export function indexed(object: Expression, key: Expression): Node {
  const tableOf = (frame: LuaFrame): LuaTable => {
    const table = object(frame);
    if (!(table instanceof LuaTable)) throw new LuaError(`attempt to index a ${typeName(table)} value`);
    return table;
  };
  return {
    one: (frame) => tableOf(frame).get(key(frame)),
    assign: (frame, value) => tableOf(frame).set(key(frame), value),
  };
}

export function called(callee: Expression, values: Several): Node {
  const all: Several = (frame) => {
    const target = callee(frame);
    if (typeof target !== "function") throw new LuaError(`attempt to call a ${typeName(target)} value`);
    return target(values(frame));
  };
  return { one: (frame) => all(frame)[0], all };
}

export function countLoop(values: Several, place: number, body: Statement): Statement {
  return (frame) => {
    const [from, to, step = 1] = values(frame).map(toNumber);
    if (from === undefined || to === undefined) throw new LuaError("'for' limits must be numbers");
    for (let value = from; step > 0 ? value <= to : value >= to; value += step) {
      frame.locals[place] = value;
      const end = body(frame);
      if (end === "return") return end;
      if (end === "break") break;
    }
    return "next";
  };
}

export function eachLoop(values: Several, places: readonly number[], body: Statement): Statement {
  return (frame) => {
    const [iterate, state, start] = values(frame);
    let control = start;
    for (;;) {
      const found = (iterate as LuaFunction)([state, control]);
      control = found[0];
      if (control === undefined) return "next";
      for (const [index, place] of places.entries()) frame.locals[place] = found[index];
      const end = body(frame);
      if (end === "return") return end;
      if (end === "break") return "next";
    }
  };
}
