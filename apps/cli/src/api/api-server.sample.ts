import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface SampleRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly authorization?: string | undefined;
  readonly lastEventId?: string | undefined;
}

/**
 * An HTTP server on loopback that answers as told, for tests; `answer` returns a status code and what is sent as JSON; text is
 * sent as it is, as server-sent events. `identity`: certificate and key, PEM, for HTTPS.
 */
export async function startSampleApi(
  answer: (request: SampleRequest) => readonly [number, unknown],
  identity?: { readonly cert: string; readonly key: string },
) {
  const serve: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      const lastEventId = request.headers["last-event-id"];
      const [code, content] = answer({
        method: request.method ?? "",
        path: request.url ?? "",
        body,
        authorization: request.headers.authorization,
        ...(lastEventId === undefined ? {} : { lastEventId: String(lastEventId) }),
      });
      const isStream = typeof content === "string";
      response.writeHead(code, { "content-type": isStream ? "text/event-stream" : "application/json", connection: "close" });
      response.end(isStream ? content : JSON.stringify(content));
    });
  };
  const server = identity === undefined ? createServer(serve) : createTlsServer(identity, serve);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      server.close();
      await once(server, "close");
    },
  };
}
