import { request as requestHttp, type IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";

export interface ApiCall {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text; null for none. */
  readonly body: string | null;
  /** Authority that the certificate of an https:// address must come from, PEM; null: those that Node knows. */
  readonly ca: string | null;
  readonly signal: AbortSignal;
}

/** An answer is read up to here: the status of 16 000 lanes fits several times. */
const MOST_ANSWER_BYTES = 64 * 1024 * 1024;

/** Sends a request on a connection of its own; resolves with the head of the answer. Rejects when there is none, or `signal` aborts. */
export function openCall({ method, url, headers, body, ca, signal }: ApiCall): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { method, headers, signal, agent: false as const };
    const isTls = url.protocol === "https:";
    const sent = isTls ? requestHttps(url, ca === null ? options : { ...options, ca }) : requestHttp(url, options);
    // A failure behind the head of the answer is one of its body, too.
    sent.on("error", reject);
    sent.on("response", resolve);
    sent.end(body ?? undefined);
  });
}

/** The body of an answer as text. Rejects when it breaks off, or does not end. */
export async function readAnswer(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MOST_ANSWER_BYTES) throw new Error(`the answer holds more than ${MOST_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
