import type { Code } from "../codes.ts";

type FailureOutcome = "retry" | "halt";

/** How often something failed in this process, by code. Bounded: there are only so many codes. */
class FailureTally {
  readonly #counts = new Map<string, { readonly code: Code; readonly outcome: FailureOutcome; count: number }>();

  count(code: Code, outcome: FailureOutcome): void {
    const key = `${code} ${outcome}`;
    const entry = this.#counts.get(key) ?? { code, outcome, count: 0 };
    entry.count++;
    this.#counts.set(key, entry);
  }

  get all(): readonly { readonly code: Code; readonly outcome: FailureOutcome; readonly count: number }[] {
    return [...this.#counts.values()];
  }
}

/** Of everything that is supervised in this process. Nothing is decided by it. */
export const processFailures = new FailureTally();
