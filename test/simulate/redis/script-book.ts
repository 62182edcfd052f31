import { createHash } from "node:crypto";
import { LuaCompiler } from "./lua/lua-compiler.ts";
import type { LuaValue } from "./lua/lua-value.ts";

/** A script, ready to run. */
export interface Script {
  readonly sha: string;
  readonly run: (globals: ReadonlyMap<string, LuaValue>) => LuaValue[];
}

/** Scripts by their text: compiled once for all servers. */
const COMPILED = new Map<string, Script>();

/** The scripts that one server has loaded. */
export class ScriptBook {
  readonly #scripts = new Map<string, Script>();

  /** `text`: one character for each byte. Throws `SyntaxError`. */
  load(text: string): Script {
    let script = COMPILED.get(text);
    if (script === undefined) {
      const sha = createHash("sha1").update(text, "latin1").digest("hex");
      script = { sha, run: LuaCompiler.compile(text) };
      COMPILED.set(text, script);
    }
    this.#scripts.set(script.sha, script);
    return script;
  }

  /** `sha` in any letter case. */
  find(sha: string): Script | undefined {
    return this.#scripts.get(sha) ?? this.#scripts.get(sha.toLowerCase());
  }

  flush(): void {
    this.#scripts.clear();
  }
}
