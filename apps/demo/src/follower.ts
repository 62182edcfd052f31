import { setTimeout as delay } from "node:timers/promises";
import type { PipelineStatus } from "@sluice/wire";
import {
  ApiRefusal,
  ApiUnreachable,
  LiveView,
  NewEvents,
  OperatorError,
  pipelineFigures,
  printable,
  type ApiClient,
  type Screen,
} from "@sluice/cli";
import { PIPELINE } from "./stage.ts";

const POLL_MS = 150;
/** Without any status for so long there is nothing to wait for. */
const SILENCE_LIMIT_MS = 60_000;

/** Looks at the pipeline again and again, shows it, and keeps its peaks. */
export class Follower {
  readonly #api: ApiClient;
  readonly #screen: Screen;
  readonly #check: () => Promise<void>;
  readonly #view = new LiveView();
  readonly #news = new NewEvents(Date.now());
  #heardAtMs = performance.now();
  peakLagSeconds = 0;
  peakLagBytes = 0;

  /** `check` throws when there is nobody left who could answer. */
  constructor(api: ApiClient, screen: Screen, check: () => Promise<void>) {
    this.#api = api;
    this.#screen = screen;
    this.#check = check;
  }

  /** Follows until `isDone` says so. Throws `OperatorError` when the pipeline fails or `what` has not come after `limitMs`. */
  async until(
    what: string,
    limitMs: number,
    signal: AbortSignal,
    isDone: (status: PipelineStatus) => boolean,
  ): Promise<PipelineStatus> {
    const deadlineMs = performance.now() + limitMs;
    for (;;) {
      const status = await this.#look();
      if (status !== null && isDone(status)) return status;
      if (performance.now() > deadlineMs) {
        throw new OperatorError(`${what} has not come in ${limitMs / 1000} s; the pipeline is ${status?.state ?? "not known"}`);
      }
      await delay(POLL_MS, undefined, { signal });
    }
  }

  /** Follows for a time. */
  async during(seconds: number, signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + seconds * 1000;
    while (performance.now() < endMs) {
      await this.#look();
      await delay(Math.min(POLL_MS, Math.max(0, endMs - performance.now())), undefined, { signal });
    }
  }

  async #look(): Promise<PipelineStatus | null> {
    await this.#check();
    let status: PipelineStatus;
    try {
      status = await this.#api.status(PIPELINE);
    } catch (cause) {
      const isPassing = cause instanceof ApiUnreachable || (cause instanceof ApiRefusal && cause.code === "PIP-002");
      if (!isPassing || performance.now() - this.#heardAtMs > SILENCE_LIMIT_MS) throw cause;
      return null;
    }
    this.#heardAtMs = performance.now();
    if (status.state === "failed") throw new OperatorError(`the pipeline has failed: ${printable(status.reason)}`);
    const { lagSeconds, lagBytes } = pipelineFigures(status);
    this.peakLagSeconds = Math.max(this.peakLagSeconds, lagSeconds ?? 0);
    this.peakLagBytes = Math.max(this.peakLagBytes, lagBytes ?? 0);
    for (const event of this.#news.take(status)) this.#screen.print(event);
    const { heading, lines } = this.#view.render(status, this.#heardAtMs, Date.now());
    this.#screen.update(heading, ...lines);
    return status;
  }
}
