/** One message of a stream of server-sent events. */
export interface SseMessage {
  /** Last id that the stream has named; null before it has. */
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** No event of Sluice is longer; a stream of something else must not fill the memory. */
const MOST_WAITING_LENGTH = 1024 * 1024;

/** Takes a stream of server-sent events apart (WHATWG HTML, 9.2.6 "Interpreting an event stream"); comments are left out. */
export class SseParser {
  #rest = "";
  #id: string | null = null;
  #event = "";
  #data: string[] = [];
  #dataLength = 0;

  /** The messages that are complete with `text`. Throws where one is longer than 1 MiB. */
  push(text: string): SseMessage[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() as string;
    const found: SseMessage[] = [];
    for (const line of lines) {
      const message = this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (message !== null) found.push(message);
    }
    if (this.#rest.length + this.#dataLength > MOST_WAITING_LENGTH) throw new Error("an event has no end");
    return found;
  }

  #line(line: string): SseMessage | null {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id" && !value.includes("\0")) this.#id = value;
    if (field === "event") this.#event = value;
    if (field === "data") {
      this.#data.push(value);
      this.#dataLength += value.length;
    }
    return null;
  }

  #dispatch(): SseMessage | null {
    const message = { id: this.#id, event: this.#event === "" ? "message" : this.#event, data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    this.#event = "";
    this.#data = [];
    this.#dataLength = 0;
    return isEmpty ? null : message;
  }
}
