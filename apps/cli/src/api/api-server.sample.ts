import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface SampleRequest {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** An HTTP server on loopback that answers as told, for tests; `answer` returns a status code and what is sent as JSON. */
export async function startSampleApi(answer: (request: SampleRequest) => readonly [number, unknown]) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      const [code, content] = answer({ method: request.method ?? "", path: request.url ?? "", body });
      response.writeHead(code, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(content));
    });
  });
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
