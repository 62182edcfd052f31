import { apiError, pipelineList, pipelineStatus, type PipelineList, type PipelineStatus } from "@sluice/wire";
import { OperatorError } from "../operator-error.ts";
import { printable } from "../view/printable.ts";

const TIMEOUT_MS = 10_000;
/** It answers, and can't for now: it stands by, or waits for the bus. Proxies say the others where it is away. */
const NOT_NOW = [502, 503, 504];

/** What a schema of `wire` does here: reads an answer or says what is wrong with it. */
interface AnswerSchema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: { message: string } };
}

/** Nobody answers at the API's address, or not in time, or what answers can't for now: another try may do. */
export class ApiUnreachable extends OperatorError {
  override readonly name = "ApiUnreachable";
}

/** The API refused a request; `code` is one of Sluice's stable codes. */
export class ApiRefusal extends OperatorError {
  override readonly name = "ApiRefusal";
  readonly code: string;
  constructor(code: string, message: string, remedy: string) {
    super(`${code}: ${message}`, remedy);
    this.code = code;
  }
}

/** Sluice's HTTP API. Every method throws `ApiUnreachable` or `ApiRefusal`. */
export class ApiClient {
  readonly #address: () => Promise<string>;

  /** `address`: `host:port`, or a URL where the API stands behind a proxy; a function is asked again for every request. */
  constructor(address: string | (() => Promise<string>)) {
    this.#address = typeof address === "string" ? async () => address : address;
  }

  async list(): Promise<PipelineList> {
    return this.#ask("GET", "/api/v1/pipelines", pipelineList);
  }

  async status(pipeline: string): Promise<PipelineStatus> {
    return this.#ask("GET", `/api/v1/pipelines/${encodeURIComponent(pipeline)}`, pipelineStatus);
  }

  /** Creates a pipeline, or lets an existing one with the same endpoints go on. `written`: as in a pipeline file. */
  async start(written: unknown): Promise<void> {
    await this.#send("POST", "/api/v1/pipelines", written);
  }

  async stop(pipeline: string): Promise<void> {
    await this.#send("POST", `/api/v1/pipelines/${encodeURIComponent(pipeline)}/stop`, {});
  }

  /** Begins the cut-over of a pipeline, or goes on with one that halted. `force`: without the source, as the destinations are. */
  async cutover(pipeline: string, force: boolean): Promise<PipelineStatus> {
    const path = `/api/v1/pipelines/${encodeURIComponent(pipeline)}/cutover`;
    return this.#read(path, pipelineStatus, await this.#send("POST", path, { force }));
  }

  /** Settles the destinations of a pipeline whose records are lost. `written`: as in a pipeline file. */
  async settle(written: unknown): Promise<void> {
    await this.#send("POST", "/api/v1/settle", written);
  }

  async #ask<T>(method: string, path: string, schema: AnswerSchema<T>): Promise<T> {
    return this.#read(path, schema, await this.#send(method, path));
  }

  #read<T>(path: string, schema: AnswerSchema<T>, sent: unknown): T {
    const answer = schema.safeParse(sent);
    if (answer.success) return answer.data;
    throw new ApiRefusal(
      "SLU-001",
      `${path} answered something else: ${printable(answer.error.message)}`,
      "Use one release of Sluice.",
    );
  }

  async #send(method: string, path: string, body?: unknown): Promise<unknown> {
    const address = await this.#address();
    const base = (address.includes("://") ? address : `http://${address}`).replace(/\/+$/, "");
    const url = base + path;
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, { method, signal: AbortSignal.timeout(TIMEOUT_MS), ...content });
      text = await response.text();
    } catch (cause) {
      const message = `the API at ${base} does not answer: ${printable(reasonOf(cause))}`;
      throw new ApiUnreachable(
        message,
        "Start it with `sluice run FILE`, or say where it is with --api host:port or SLUICE_API.",
        1,
        { cause },
      );
    }
    const answer = parsed(text);
    if (response.ok) return answer;
    const refusal = apiError.safeParse(answer);
    if (!refusal.success && NOT_NOW.includes(response.status))
      throw new ApiUnreachable(`${method} ${url} answered ${response.status}`);
    if (!refusal.success)
      throw new ApiRefusal("SLU-001", `${method} ${url} answered ${response.status}`, "Is this the API of Sluice?");
    const { code, message, remedy } = refusal.data.error;
    if (NOT_NOW.includes(response.status)) throw new ApiUnreachable(`${code}: ${printable(message)}`, printable(remedy));
    throw new ApiRefusal(code, printable(message), printable(remedy));
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.cause instanceof AggregateError) return reasonOf(cause.cause.errors[0]);
  return cause.cause instanceof Error ? cause.cause.message : cause.message;
}
