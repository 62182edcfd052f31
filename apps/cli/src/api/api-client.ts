import type { IncomingMessage } from "node:http";
import {
  apiError,
  createAnswer,
  deleteAnswer,
  editAnswer,
  filterPreview,
  eventPage,
  pipelineList,
  pipelineStatus,
  precheckReport,
  resumeAnswer,
  type ApiEvent,
  type CreateAnswer,
  type EditAnswer,
  type FilterPreview,
  type PipelineList,
  type PipelineStatus,
  type PrecheckReport,
  type PrecheckRequest,
  type ResumeAnswer,
} from "@sluice/wire";
import { OperatorError } from "../operator-error.ts";
import { printable } from "../view/printable.ts";
import { apiAccess, type ApiAccess } from "./api-access.ts";
import { openCall, readAnswer } from "./api-exchange.ts";

const TIMEOUT_MS = 10_000;
/** Servers are asked, or let go of something, before the answer comes. */
const LONG_TIMEOUT_MS = 90_000;
/** It answers, and can't for now: it stands by, or waits for the bus. Proxies say the others where it is away. */
const NOT_NOW = [502, 503, 504];

/** What a schema of `wire` does here: reads an answer or says what is wrong with it. */
interface AnswerSchema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false; error: { message: string } };
}

interface Asked<T> {
  readonly schema: AnswerSchema<T>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

export type Waivers = NonNullable<PrecheckRequest["ignore"]>;

export interface FilterWishes {
  readonly sample?: number;
  readonly keys?: readonly string[];
}

export interface StartWishes {
  /** Copy everything anew, whatever could be continued. */
  readonly copy?: boolean;
  readonly ignore?: Waivers;
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
  readonly #access: ApiAccess;

  /**
   * `address`: `host:port`, or a URL (https:// where the API has a certificate, or stands behind a proxy); a function is asked again for
   * every request. `access`: that of the environment unless told otherwise.
   */
  constructor(address: string | (() => Promise<string>), access: ApiAccess = apiAccess({}, process.env)) {
    this.#address = typeof address === "string" ? async () => address : address;
    this.#access = access;
  }

  async list(): Promise<PipelineList> {
    return this.#ask("GET", "/api/v1/pipelines", { schema: pipelineList });
  }

  async status(pipeline: string): Promise<PipelineStatus> {
    return this.#ask("GET", pathOf(pipeline), { schema: pipelineStatus });
  }

  /** Creates a pipeline, or lets an existing one with the same endpoints go on. `written`: as in a pipeline file. */
  async start(written: unknown): Promise<void> {
    await this.#send("POST", "/api/v1/pipelines", written);
  }

  /** As `start`, and without starting it where `start` is false. */
  async create(written: unknown, options: { readonly start: boolean; readonly ignore?: Waivers }): Promise<CreateAnswer> {
    return this.#ask("POST", "/api/v1/pipelines", { schema: createAnswer, body: { pipeline: written, ...options } });
  }

  /** Starts a pipeline that there is. */
  async startNamed(pipeline: string, wishes: StartWishes): Promise<PipelineStatus> {
    return this.#ask("POST", pathOf(pipeline, "/start"), { schema: pipelineStatus, body: wishes });
  }

  async pause(pipeline: string): Promise<PipelineStatus> {
    return this.#ask("POST", pathOf(pipeline, "/pause"), { schema: pipelineStatus });
  }

  /** With `dryRun` it only says what would happen. */
  async resume(pipeline: string, dryRun: boolean, wishes: StartWishes): Promise<ResumeAnswer> {
    const path = `${pathOf(pipeline, "/resume")}${dryRun ? "?dryRun=true" : ""}`;
    return this.#ask("POST", path, { schema: resumeAnswer, body: wishes, timeoutMs: LONG_TIMEOUT_MS });
  }

  /** `withinMs`: how long its lanes may take to apply what is stored; the coordinator's own limit where absent. */
  async stop(pipeline: string, withinMs?: number): Promise<void> {
    await this.#send("POST", pathOf(pipeline, "/stop"), withinMs === undefined ? {} : { within: `${withinMs / 1000}s` });
  }

  /** Replaces the file of a pipeline. `written`: as in a pipeline file. */
  async edit(pipeline: string, written: unknown, dryRun: boolean): Promise<EditAnswer> {
    const path = `${pathOf(pipeline)}${dryRun ? "?dryRun=true" : ""}`;
    return this.#ask("PUT", path, { schema: editAnswer, body: written, timeoutMs: LONG_TIMEOUT_MS });
  }

  /** `force`: also of one that runs. */
  async remove(pipeline: string, force: boolean): Promise<{ readonly name: string; readonly marksStay: boolean }> {
    const path = `${pathOf(pipeline)}${force ? "?force=true" : ""}`;
    return this.#ask("DELETE", path, { schema: deleteAnswer, timeoutMs: LONG_TIMEOUT_MS });
  }

  /** Checks the servers of a pipeline that there is, now. */
  async precheck(pipeline: string, request: PrecheckRequest): Promise<PrecheckReport> {
    const asked = { schema: precheckReport, body: request, timeoutMs: LONG_TIMEOUT_MS };
    return this.#ask("POST", pathOf(pipeline, "/precheck"), asked);
  }

  /** Checks the servers of a file; nothing is kept. */
  async precheckFile(written: unknown, request: PrecheckRequest): Promise<PrecheckReport> {
    const asked = { schema: precheckReport, body: { pipeline: written, ...request }, timeoutMs: LONG_TIMEOUT_MS };
    return this.#ask("POST", "/api/v1/prechecks", asked);
  }

  /** What the filters of a file would do, to a sample of the source's keys or to names; nothing is kept. */
  async previewFilters(written: unknown, request: FilterWishes): Promise<FilterPreview> {
    const asked = { schema: filterPreview, body: { pipeline: written, ...request }, timeoutMs: LONG_TIMEOUT_MS };
    return this.#ask("POST", "/api/v1/filters/preview", asked);
  }

  /** What the last prechecks of a pipeline found; refused where none have run. */
  async lastPrecheck(pipeline: string): Promise<PrecheckReport> {
    return this.#ask("GET", pathOf(pipeline, "/precheck"), { schema: precheckReport });
  }

  /** The newest events, oldest first; of all pipelines where `pipeline` is null. */
  async events(pipeline: string | null, limit: number): Promise<readonly ApiEvent[]> {
    const path = `${eventsPath(pipeline)}?limit=${limit}`;
    return (await this.#ask("GET", path, { schema: eventPage })).events;
  }

  /** A stream of server-sent events behind the event `after`, until it ends or `signal` aborts. */
  async openEvents(pipeline: string | null, after: string | null, signal: AbortSignal): Promise<IncomingMessage> {
    const headers = { accept: "text/event-stream", ...(after === null ? {} : { "last-event-id": after }) };
    return (await this.#open("GET", eventsPath(pipeline), { headers, signal })).answer;
  }

  /** Begins the cut-over of a pipeline, or goes on with one that halted. `force`: without the source, as the destinations are. */
  async cutover(pipeline: string, force: boolean): Promise<PipelineStatus> {
    return this.#ask("POST", pathOf(pipeline, "/cutover"), { schema: pipelineStatus, body: { force } });
  }

  /** Settles the destinations of a pipeline whose records are lost. `written`: as in a pipeline file. */
  async settle(written: unknown): Promise<void> {
    await this.#send("POST", "/api/v1/settle", written);
  }

  async #ask<T>(method: string, path: string, { schema, body, timeoutMs }: Asked<T>): Promise<T> {
    const answer = schema.safeParse(await this.#send(method, path, body, timeoutMs));
    if (answer.success) return answer.data;
    throw new ApiRefusal(
      "SLU-001",
      `${path} answered something else: ${printable(answer.error.message)}`,
      "Use one release of Sluice.",
    );
  }

  async #send(method: string, path: string, body?: unknown, timeoutMs = TIMEOUT_MS): Promise<unknown> {
    const { answer, base } = await this.#open(method, path, { body, signal: AbortSignal.timeout(timeoutMs) });
    try {
      return parsed(await readAnswer(answer));
    } catch (cause) {
      throw unreachable(base, cause);
    }
  }

  /** Throws what was refused; an answer that is returned is one of success, and its body still to be read. */
  async #open(
    method: string,
    path: string,
    { body, headers = {}, signal }: { body?: unknown; headers?: Record<string, string>; signal: AbortSignal },
  ): Promise<{ readonly answer: IncomingMessage; readonly base: string }> {
    const address = await this.#address();
    const base = (address.includes("://") ? address : `http://${address}`).replace(/\/+$/, "");
    const url = readUrl(base + path, address);
    const token = this.#access.token();
    const sent = body === undefined ? null : JSON.stringify(body);
    const allHeaders = {
      ...headers,
      ...(sent === null ? {} : { "content-type": "application/json", "content-length": String(Buffer.byteLength(sent)) }),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
    const ca = url.protocol === "https:" ? this.#access.ca() : null;
    let answer: IncomingMessage;
    let text: string;
    try {
      answer = await openCall({ method, url, headers: allHeaders, body: sent, ca, signal });
      const { statusCode = 0 } = answer;
      if (statusCode >= 200 && statusCode < 300) return { answer, base };
      text = await readAnswer(answer);
    } catch (cause) {
      throw unreachable(base, cause);
    }
    throw refusalOf(`${method} ${base}${path}`, answer.statusCode ?? 0, parsed(text));
  }
}

function pathOf(pipeline: string, below = ""): string {
  return `/api/v1/pipelines/${encodeURIComponent(pipeline)}${below}`;
}

function eventsPath(pipeline: string | null): string {
  return pipeline === null ? "/api/v1/events" : pathOf(pipeline, "/events");
}

function readUrl(text: string, address: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return url;
  const said = printable(JSON.stringify(address));
  throw new OperatorError(`the API's address is ${said}; expected host:port, http://… or https://…`, "", 2);
}

function refusalOf(request: string, status: number, answer: unknown): ApiUnreachable | ApiRefusal {
  const refusal = apiError.safeParse(answer);
  if (!refusal.success && NOT_NOW.includes(status)) return new ApiUnreachable(`${request} answered ${status}`);
  if (!refusal.success) return new ApiRefusal("SLU-001", `${request} answered ${status}`, "Is this the API of Sluice?");
  const { code, message, remedy } = refusal.data.error;
  if (NOT_NOW.includes(status)) return new ApiUnreachable(`${code}: ${printable(message)}`, printable(remedy));
  return new ApiRefusal(code, printable(message), printable(remedy));
}

function unreachable(base: string, cause: unknown): ApiUnreachable {
  const message = `the API at ${base} does not answer: ${printable(reasonOf(cause))}`;
  return new ApiUnreachable(message, remedyOf(base, cause), 1, { cause });
}

/** What Node says where it does not trust a certificate (doc/api/tls.md and OpenSSL's X509_V_ERR_…). */
const UNTRUSTED = /CERT|SIGNATURE|ALTNAME/;

function remedyOf(base: string, cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  if (base.startsWith("https:") && UNTRUSTED.test(code)) {
    return "Name the authority of its certificate with --api-ca FILE or SLUICE_API_CA, and the API by the name that its certificate bears.";
  }
  if (code === "ECONNRESET" || code.startsWith("HPE_")) {
    return "Something listens there. Where the API has a certificate, its address begins with https://.";
  }
  return "Start it with `sluice run FILE`, or say where it is with --api host:port or SLUICE_API.";
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
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0]);
  if (cause.name === "AbortError") return "it was given up";
  if (cause.name === "TimeoutError") return "not in time";
  return cause.message;
}
