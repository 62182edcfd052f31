/** One message of a stream of server-sent events; `comment` for lines that browsers pass over. */
export interface SseMessage {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** Follows a stream of server-sent events as a browser does, message by message. */
export class SseReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #abort: AbortController;
  #text = "";

  private constructor(response: Response, abort: AbortController) {
    if (response.body === null) throw new Error("an answer without a body");
    this.#reader = response.body.getReader();
    this.#abort = abort;
  }

  /** Throws with the status where the answer is no stream. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<SseReader> {
    const abort = new AbortController();
    const response = await fetch(url, { headers: { accept: "text/event-stream", ...headers }, signal: abort.signal });
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("text/event-stream")) throw new Error(`${response.status} ${await response.text()}`);
    return new SseReader(response, abort);
  }

  /** The next message; a comment as the event `comment`. Null when the server has ended the stream. */
  async next(): Promise<SseMessage | null> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const message = messageOf(block);
        if (message !== null) return message;
        continue;
      }
      const { done, value } = await this.#reader.read();
      if (done) return null;
      this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  /** The next message for which `holds`. Throws when the stream ends before. */
  async until(holds: (message: SseMessage) => boolean): Promise<SseMessage> {
    for (let message = await this.next(); message !== null; message = await this.next()) if (holds(message)) return message;
    throw new Error("the stream has ended");
  }

  close(): void {
    this.#abort.abort();
  }
}

function messageOf(block: string): SseMessage | null {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const [name, value] = colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
    fields.set(name, value);
  }
  if (fields.has("")) return { id: null, event: "comment", data: fields.get("") ?? "" };
  if (!fields.has("data")) return null;
  return { id: fields.get("id") ?? null, event: fields.get("event") ?? "message", data: fields.get("data") ?? "" };
}
