import { describeFault, reasonOf, Retryable, type Fault } from "@sluice/runtime";
import { recordKey, routerRecord, type RouterRecord } from "@sluice/wire";
import type { WatchDeps } from "./source-watch.ts";

type Trouble = Pick<RouterRecord, "retry" | "halt">;

const WRITE_AGAIN_MS = 1_000;

/**
 * What one watch of a server tells the operator: what it waits for, or why it stopped for good. The record is written only when
 * that changes, and tried again until it stands there or the watch is dismissed: a halt has no later report that could follow it.
 */
export class WatchReport {
  readonly #key: string;
  readonly #spec: number;
  readonly #deps: Pick<WatchDeps, "records" | "clock">;
  #signal: AbortSignal | null = null;
  #trouble: Trouble | null = null;
  #isWriting = false;

  /** `watch`: `source` or `destination.<group>`; `spec`: revision of the spec that the watch begins with. */
  constructor(pipeline: string, watch: string, spec: number, deps: Pick<WatchDeps, "records" | "clock">) {
    this.#key = recordKey.router(pipeline, watch);
    this.#spec = spec;
    this.#deps = deps;
  }

  /** To be called before anything else; nothing is written any more once `signal` aborts. */
  begin(signal: AbortSignal): void {
    this.#signal = signal;
  }

  /** A bus that is away can't be told of on the bus, and is over when it could. */
  retrying(fault: Fault, since: number): void {
    if (fault.code === "BUS-001") return;
    const endpoint = fault instanceof Retryable ? fault.endpoint : "sluice";
    this.#tell({ retry: { endpoint, since, reason: `${fault.code} ${reasonOf(fault)}` }, halt: null });
  }

  halted(fault: Fault): void {
    const { code, remedy } = fault;
    this.#tell({ retry: null, halt: { code, message: describeFault(fault), remedy, at: this.#deps.clock.nowMs() } });
  }

  /** Nothing keeps the watch from its work: also what an earlier watch has left in the record is taken back. */
  clear(): void {
    this.#tell({ retry: null, halt: null });
  }

  #tell(trouble: Trouble): void {
    if (this.#trouble !== null && isSame(this.#trouble, trouble)) return;
    this.#trouble = trouble;
    if (this.#isWriting) return;
    this.#isWriting = true;
    void this.#write();
  }

  async #write(): Promise<void> {
    while (this.#signal?.aborted === false) {
      const trouble = this.#trouble;
      if (trouble === null) break;
      const isStored = await this.#store(trouble).catch(() => false);
      if (trouble !== this.#trouble) continue;
      if (isStored) break;
      await this.#deps.clock.sleep(WRITE_AGAIN_MS, this.#signal);
    }
    this.#isWriting = false;
  }

  /** False when somebody else wrote the record in between. */
  async #store(trouble: Trouble): Promise<boolean> {
    const { records, clock } = this.#deps;
    const stored = await records.get(this.#key, routerRecord);
    const known = stored?.value ?? { spec: this.#spec, retry: null, halt: null };
    if (known.spec === this.#spec && isSame(known, trouble)) return true;
    const value = { ...trouble, spec: this.#spec, at: clock.nowMs() };
    return (await records.compareAndSet(this.#key, routerRecord, value, stored?.revision ?? 0)) !== null;
  }
}

/** When a halt was written is no difference. */
function isSame(a: Trouble, b: Trouble): boolean {
  return (
    JSON.stringify([a.retry, a.halt && { ...a.halt, at: 0 }]) === JSON.stringify([b.retry, b.halt && { ...b.halt, at: 0 }])
  );
}
