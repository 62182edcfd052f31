import { writeSync } from "node:fs";
import type { Reporter, TestCase, TestModule } from "vitest/node";

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * Ends a run with the line `N passed, N failed`, after everything else that is printed. Failed are also: a file or suite that could
 * not be set up, with every test that did not run for it; an unhandled error; a run in which no test ran. Checks that came before
 * the tests are counted in where the environment gives their numbers (CHECKS_PASSED, CHECKS_FAILED).
 */
export default class CountReporter implements Reporter {
  readonly #count: Count = { passed: 0, failed: 0, skipped: 0 };

  onInit(): void {
    process.once("exit", (code) => {
      this.#close(code);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = this.#count;
    Object.assign(count, { passed: 0, failed: unhandledErrors.length, skipped: 0 });
    for (const module of modules) {
      count.failed += module.errors().length;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
      for (const test of module.children.allTests()) count[verdict(test)]++;
    }
  }

  #close(code: number): void {
    const { passed, skipped } = this.#count;
    let { failed } = this.#count;
    if (failed === 0 && (code !== 0 || passed === 0)) failed = 1;
    const before = { passed: Number(process.env["CHECKS_PASSED"] ?? 0), failed: Number(process.env["CHECKS_FAILED"] ?? 0) };
    if (failed + before.failed > 0) process.exitCode = 1;
    const note = skipped === 0 ? "" : `\n${skipped} skipped`;
    writeSync(1, `${note}\n${before.passed + passed} passed, ${before.failed + failed} failed\n`);
  }
}

function verdict(test: TestCase): keyof Count {
  const { state } = test.result();
  if (state === "passed" || state === "failed") return state;
  for (let holder: TestCase["parent"] | null = test.parent; holder !== null;) {
    if (holder.errors().length > 0) return "failed";
    holder = holder.type === "suite" ? holder.parent : null;
  }
  return "skipped";
}
