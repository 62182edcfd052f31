import { codes, type Code } from "@sluice/runtime";
import type { ApiError } from "@sluice/wire";

/** A request that is answered with an error. The message is for the operator: what was found, where, what was expected; no secret. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  readonly code: Code;
  /** What to do; the code's own remedy unless told otherwise. */
  readonly remedy: string;
  constructor(status: number, code: Code, message: string, remedy: string = codes[code].remedy) {
    super(message);
    this.status = status;
    this.code = code;
    this.remedy = remedy;
  }

  get body(): ApiError {
    return { error: { code: this.code, message: this.message, remedy: this.remedy } };
  }
}
