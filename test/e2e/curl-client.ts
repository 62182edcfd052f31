import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SpawnedProcess, waitUntil } from "@sluice/testkit";
import { ApiContract, type ApiReply } from "./api-contract.ts";

const run = promisify(execFile);
const REMEDY = "install the Debian package curl";
/** The longest that a request may take, in seconds. */
const REQUEST_LIMIT = "20";

/** An API as somebody asks it who has nothing but curl; every answer is held against what the API says of itself. */
export class Curl {
  /** The OpenAPI document, as it was served. */
  readonly document: Readonly<Record<string, unknown>>;
  readonly #base: string;
  readonly #bearer: readonly string[];
  readonly #contract: ApiContract;

  private constructor(base: string, bearer: readonly string[], document: string) {
    this.#base = base;
    this.#bearer = bearer;
    this.#contract = new ApiContract(document);
    this.document = JSON.parse(document) as Record<string, unknown>;
  }

  /** `base`: `http://host:port`. Throws where the API has no document. */
  static async open(base: string, token: string): Promise<Curl> {
    const bearer = ["-H", `authorization: Bearer ${token}`];
    const { status, body } = await request(`${base}/api/v1/openapi.json`, bearer);
    if (status !== 200) throw new Error(`no document: ${status} ${body}`);
    return new Curl(base, bearer, body);
  }

  /** The answer, which has the status that is `expected` and is as the document says; else throws. */
  async ask<T>(expected: number, method: string, path: string, body?: object): Promise<T> {
    return this.#ask(expected, method, path, this.#bearer, body);
  }

  /** As `ask`, without the token. */
  async askAsAnybody<T>(expected: number, method: string, path: string): Promise<T> {
    return this.#ask(expected, method, path, []);
  }

  /** Follows a stream of server-sent events until the API ends it. */
  async follow(path: string): Promise<Follower> {
    return Follower.start([...this.#bearer, `${this.#base}${path}`], this.#contract);
  }

  async #ask<T>(expected: number, method: string, path: string, auth: readonly string[], body?: object): Promise<T> {
    const sent = body === undefined ? [] : ["-H", "content-type: application/json", "-d", JSON.stringify(body)];
    const reply = await request(`${this.#base}${path}`, ["-X", method, ...auth, ...sent]);
    if (reply.status !== expected)
      throw new Error(`${method} ${path}: ${reply.status} in place of ${expected}: ${reply.body.slice(0, 2_000)}`);
    return this.#contract.check(method, path, reply) as T;
  }
}

/** `curl -N` on a stream of server-sent events. */
class Follower implements AsyncDisposable {
  readonly #process: SpawnedProcess;
  readonly #text: { all: string };
  readonly #contract: ApiContract;

  private constructor(process: SpawnedProcess, text: { all: string }, contract: ApiContract) {
    this.#process = process;
    this.#text = text;
    this.#contract = contract;
  }

  static async start(to: readonly string[], contract: ApiContract): Promise<Follower> {
    const text = { all: "" };
    const args = ["-sN", "-H", "accept: text/event-stream", ...to];
    const onOutput = (more: string): void => void (text.all += more);
    return new Follower(await SpawnedProcess.start({ command: "curl", args, remedy: REMEDY, onOutput }), text, contract);
  }

  /** Contents of all messages of a kind until now, each as the document describes it. */
  all(kind: "state" | "event"): readonly Record<string, unknown>[] {
    const name = { state: "StateEvent", event: "Event" }[kind];
    const messages = this.#text.all.split("\n\n").slice(0, -1);
    const ofKind = messages.map((message) => message.split("\n")).filter((lines) => lines.includes(`event: ${kind}`));
    const contents = ofKind.map((lines) => lines.find((line) => line.startsWith("data: "))?.slice("data: ".length) ?? "");
    return contents.map((content) => this.#contract.checkNamed(name, content) as Record<string, unknown>);
  }

  async untilState(wanted: string): Promise<void> {
    await waitUntil(`the stream tells of ${wanted}`, () => this.all("state").some(({ state }) => state === wanted), {
      everyMs: 50,
      details: () => this.#text.all,
    });
  }

  /** Resolves with curl's exit code when the API has ended the stream. */
  async ended(): Promise<number | null> {
    return (await this.#process.exited).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

async function request(url: string, args: readonly string[]): Promise<ApiReply> {
  const { stdout } = await run("curl", [
    "-s",
    "--max-time",
    REQUEST_LIMIT,
    "-w",
    "\n%{http_code} %{content_type}",
    ...args,
    url,
  ]);
  const end = stdout.lastIndexOf("\n");
  const [status = "", type = ""] = stdout.slice(end + 1).split(" ");
  return { status: Number(status), media: type.split(";")[0] ?? "", body: stdout.slice(0, end) };
}
