import { luaTokens, type LuaToken } from "./lua-lexer.ts";
import { POWERS, UNARY, UNARY_POWER } from "./lua-operators.ts";
import {
  binary,
  called,
  constant,
  countLoop,
  eachLoop,
  indexed,
  located,
  type Expression,
  type LuaFrame,
  type Node,
  type Several,
  type Statement,
} from "./lua-closure.ts";
import { LUA_LIBRARY } from "./lua-library.ts";
import { isTrue, LuaError, LuaTable, type LuaValue } from "./lua-value.ts";

const CLOSERS = new Set(["end", "else", "elseif", "until", "<eof>"]);

/**
 * Lua 5.1, as far as scripts of Redis that only compute and call need it, compiled to closures:
 *
 *     block = *( statement [";"] ) ["return" [list] | "break"]
 *     statement = "local" names ["=" list] | targets "=" list | call | "do" block "end" | "while" e "do" block "end"
 *               | "repeat" block "until" e | "if" e "then" block *( "elseif" e "then" block ) ["else" block] "end"
 *               | "for" name "=" e "," e ["," e] "do" block "end" | "for" names "in" list "do" block "end"
 *
 * Functions can't be defined. Every variable has a place of its own in the frame, since there are no closures to share one.
 */
export class LuaCompiler {
  readonly #tokens: readonly LuaToken[];
  #at = 0;
  #scopes: Map<string, number>[] = [new Map()];
  #places = 0;

  private constructor(source: string) {
    this.#tokens = luaTokens(source);
  }

  /** Throws `SyntaxError`. */
  static compile(source: string): (globals: ReadonlyMap<string, LuaValue>) => LuaValue[] {
    const compiler = new LuaCompiler(source);
    const body = compiler.#block();
    if (compiler.#token.kind !== "end") throw compiler.#unexpected();
    return (globals) => {
      const frame: LuaFrame = { locals: [], globals, result: [], line: 0 };
      try {
        body(frame);
      } catch (cause) {
        throw cause instanceof LuaError ? located(cause, frame.line) : cause;
      }
      return frame.result;
    };
  }

  get #token(): LuaToken {
    return this.#tokens[this.#at] as LuaToken;
  }

  #unexpected(): SyntaxError {
    const { line, text } = this.#token;
    return new SyntaxError(`user_script:${line}: unexpected symbol near '${text}'`);
  }

  #isNext(text: string): boolean {
    const { kind } = this.#token;
    return this.#token.text === text && kind !== "string" && kind !== "number";
  }

  #take(text: string): boolean {
    if (!this.#isNext(text)) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw this.#unexpected();
  }

  #name(): string {
    const { kind, text } = this.#token;
    if (kind !== "name") throw this.#unexpected();
    this.#at++;
    return text;
  }

  #declare(name: string): number {
    this.#scopes.at(-1)?.set(name, this.#places);
    return this.#places++;
  }

  #block(): Statement {
    this.#scopes.push(new Map());
    const statements: Statement[] = [];
    while (this.#token.kind === "string" || !CLOSERS.has(this.#token.text)) {
      const { line } = this.#token;
      if (this.#take(";")) continue;
      const statement = this.#statement();
      statements.push((frame) => {
        frame.line = line;
        return statement(frame);
      });
    }
    this.#scopes.pop();
    return (frame) => {
      for (const statement of statements) {
        const end = statement(frame);
        if (end !== "next") return end;
      }
      return "next";
    };
  }

  #statement(): Statement {
    if (this.#take("local")) return this.#local();
    if (this.#take("if")) return this.#if();
    if (this.#take("while")) return this.#while();
    if (this.#take("repeat")) return this.#repeat();
    if (this.#take("for")) return this.#for();
    if (this.#take("return")) return this.#return();
    if (this.#take("break")) return () => "break";
    if (this.#take("do")) {
      const body = this.#block();
      this.#expect("end");
      return body;
    }
    return this.#assignment();
  }

  #local(): Statement {
    const names = [this.#name()];
    while (this.#take(",")) names.push(this.#name());
    const values = this.#take("=") ? this.#list() : (): LuaValue[] => [];
    const places = names.map((name) => this.#declare(name));
    return (frame) => {
      const found = values(frame);
      for (const [index, place] of places.entries()) frame.locals[place] = found[index];
      return "next";
    };
  }

  #if(): Statement {
    const branches: { test: Expression; body: Statement }[] = [];
    let otherwise: Statement = () => "next";
    do {
      const test = this.#expression().one;
      this.#expect("then");
      branches.push({ test, body: this.#block() });
    } while (this.#take("elseif"));
    if (this.#take("else")) otherwise = this.#block();
    this.#expect("end");
    return (frame) => {
      for (const { test, body } of branches) if (isTrue(test(frame))) return body(frame);
      return otherwise(frame);
    };
  }

  #while(): Statement {
    const test = this.#expression().one;
    this.#expect("do");
    const body = this.#block();
    this.#expect("end");
    return (frame) => {
      while (isTrue(test(frame))) {
        const end = body(frame);
        if (end === "return") return end;
        if (end === "break") break;
      }
      return "next";
    };
  }

  #repeat(): Statement {
    const body = this.#block();
    this.#expect("until");
    const test = this.#expression().one;
    return (frame) => {
      do {
        const end = body(frame);
        if (end === "return") return end;
        if (end === "break") break;
      } while (!isTrue(test(frame)));
      return "next";
    };
  }

  #for(): Statement {
    const names = [this.#name()];
    while (this.#take(",")) names.push(this.#name());
    const isCount = this.#take("=");
    if (!isCount) this.#expect("in");
    const values = this.#list();
    this.#expect("do");
    this.#scopes.push(new Map());
    const places = names.map((name) => this.#declare(name));
    const body = this.#block();
    this.#scopes.pop();
    this.#expect("end");
    return isCount ? countLoop(values, places[0] as number, body) : eachLoop(values, places, body);
  }

  #return(): Statement {
    const isBare = this.#isNext(";") || (this.#token.kind !== "string" && CLOSERS.has(this.#token.text));
    const values = isBare ? (): LuaValue[] => [] : this.#list();
    return (frame) => {
      frame.result = values(frame);
      return "return";
    };
  }

  #assignment(): Statement {
    const first = this.#suffixed();
    if (!this.#isNext("=") && !this.#isNext(",")) {
      const { all } = first;
      if (all === undefined) throw this.#unexpected();
      return (frame) => {
        all(frame);
        return "next";
      };
    }
    const targets = [first];
    while (this.#take(",")) targets.push(this.#suffixed());
    this.#expect("=");
    const values = this.#list();
    if (targets.some(({ assign }) => assign === undefined)) throw this.#unexpected();
    return (frame) => {
      const found = values(frame);
      for (const [index, { assign }] of targets.entries()) assign?.(frame, found[index]);
      return "next";
    };
  }

  #list(): Several {
    const nodes = [this.#expression()];
    while (this.#take(",")) nodes.push(this.#expression());
    const last = nodes.pop() as Node;
    return (frame) => {
      const values = nodes.map(({ one }) => one(frame));
      if (last.all === undefined) values.push(last.one(frame));
      else values.push(...last.all(frame));
      return values;
    };
  }

  #expression(power = 0): Node {
    let left = this.#unary();
    for (;;) {
      const { text, kind } = this.#token;
      const powers = kind === "symbol" || kind === "name" ? POWERS[text] : undefined;
      if (powers === undefined || powers[0] <= power) return left;
      this.#at++;
      const [one, other] = [left.one, this.#expression(powers[1]).one];
      left = { one: binary(text, one, other) };
    }
  }

  #unary(): Node {
    const { text, kind } = this.#token;
    const operator = kind === "symbol" || text === "not" ? UNARY[text] : undefined;
    if (operator === undefined || kind === "string") return this.#suffixed();
    this.#at++;
    const { one } = this.#expression(UNARY_POWER);
    return { one: (frame) => operator(one(frame)) };
  }

  #suffixed(): Node {
    let node = this.#primary();
    for (;;) {
      if (this.#take(".")) {
        const name = this.#name();
        node = indexed(node.one, () => name);
      } else if (this.#take("[")) {
        const key = this.#expression().one;
        this.#expect("]");
        node = indexed(node.one, key);
      } else if (this.#isNext("(") || this.#isNext("{") || this.#token.kind === "string")
        node = called(node.one, this.#arguments());
      else return node;
    }
  }

  #arguments(): Several {
    const { kind, text } = this.#token;
    if (kind === "string") {
      this.#at++;
      return () => [text];
    }
    if (this.#isNext("{")) {
      const { one } = this.#primary();
      return (frame) => [one(frame)];
    }
    this.#expect("(");
    if (this.#take(")")) return () => [];
    const values = this.#list();
    this.#expect(")");
    return values;
  }

  #primary(): Node {
    const { kind, text } = this.#token;
    if (kind === "end") throw this.#unexpected();
    this.#at++;
    if (kind === "number") return { one: constant(Number(text)) };
    if (kind === "string") return { one: constant(text) };
    if (kind === "symbol") {
      if (text === "{") return this.#table();
      if (text !== "(") throw this.#unexpected();
      const { one } = this.#expression();
      this.#expect(")");
      return { one };
    }
    if (text === "nil") return { one: constant(undefined) };
    if (text === "true" || text === "false") return { one: constant(text === "true") };
    if (text === "function") throw new SyntaxError("this model's Lua defines no functions");
    return this.#variable(text);
  }

  #variable(name: string): Node {
    const place = this.#scopes.findLast((scope) => scope.has(name))?.get(name);
    if (place === undefined) {
      return {
        one: ({ globals }) => {
          const value = globals.get(name) ?? LUA_LIBRARY.get(name);
          if (value === undefined) throw new LuaError(`Script attempted to access nonexistent global variable '${name}'`);
          return value;
        },
        assign: () => {
          throw new LuaError(`Attempt to modify a readonly table`);
        },
      };
    }
    return {
      one: ({ locals }) => locals[place],
      assign: ({ locals }, value) => {
        locals[place] = value;
      },
    };
  }

  #table(): Node {
    const items: Node[] = [];
    const fields: { key: Expression; value: Expression }[] = [];
    while (!this.#isNext("}")) {
      if (this.#take("[")) {
        const key = this.#expression().one;
        this.#expect("]");
        this.#expect("=");
        fields.push({ key, value: this.#expression().one });
      } else if (this.#token.kind === "name" && this.#tokens[this.#at + 1]?.text === "=") {
        const key = constant(this.#name());
        this.#expect("=");
        fields.push({ key, value: this.#expression().one });
      } else items.push(this.#expression());
      if (!this.#take(",") && !this.#take(";")) break;
    }
    this.#expect("}");
    const last = items.at(-1)?.all === undefined ? undefined : items.pop();
    return {
      one: (frame) => {
        const values = items.map(({ one }) => one(frame));
        if (last?.all !== undefined) values.push(...last.all(frame));
        const table = new LuaTable();
        for (const [index, value] of values.entries()) table.set(index + 1, value);
        for (const { key, value } of fields) table.set(key(frame), value(frame));
        return table;
      },
    };
  }
}
