import { Connection } from "@sluice/redis";
import { RequestParser } from "./request-parser.ts";

/** Bytes of a replication link, taken apart: the copy is passed over, the commands are kept. */
export class ObservedStream {
  readonly commands: string[][] = [];
  readonly #parser = new RequestParser();
  #head: Buffer = Buffer.alloc(0);
  #copyBytes = -1;

  get isCopied(): boolean {
    return this.#copyBytes === 0;
  }

  push(chunk: Buffer): void {
    if (this.#copyBytes === 0) this.#parser.push(chunk);
    else this.#pushCopy(Buffer.concat([this.#head, chunk]));
    if (this.#copyBytes !== 0) return;
    for (let args = this.#parser.next(); args !== null; args = this.#parser.next()) {
      if (args[0]?.toLowerCase() !== "ping" && args[0] !== "REPLCONF") this.commands.push(args);
    }
  }

  #pushCopy(bytes: Buffer): void {
    const header = /^(?:\+OK\r\n|\n)*(?:\+FULLRESYNC [^\r]*\r\n)?\n*\$(\d+)\r\n/.exec(bytes.toString("latin1", 0, 200));
    this.#head = bytes;
    if (header === null) return;
    const end = header[0].length + Number(header[1]);
    if (bytes.length < end) return;
    this.#copyBytes = 0;
    this.#parser.push(bytes.subarray(end));
  }
}

/** Poses as a replica of a real server that sends its copies with their length. Resolves when the copy has arrived. */
export async function observe(port: number): Promise<{ stream: ObservedStream; close: () => void }> {
  const connection = await Connection.open({ host: "127.0.0.1", port });
  await connection.call(["REPLCONF", "capa", "psync2"]);
  await connection.call(["PSYNC", "?", "-1"]);
  const { socket, leftover } = connection.detach();
  const stream = new ObservedStream();
  stream.push(leftover);
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject).on("close", reject);
    socket.on("data", (chunk) => {
      stream.push(chunk);
      if (stream.isCopied) resolve();
    });
    if (stream.isCopied) resolve();
    socket.resume();
  });
  return { stream, close: () => socket.destroy() };
}
