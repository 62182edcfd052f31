import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { CommandFramer, encodeCommand, RdbReader, rdbString, readDumpPayload, type RdbEntry } from "@sluice/redis";
import { OWN_KEY_PREFIX } from "@sluice/wire";
import type { MarkHistory } from "./mark-history.ts";

const RETRY_MS = 50;
const ACK_MS = 1000;

/**
 * A replica of one node that only reads: it shows the node's replication stream to a `MarkHistory`. It follows the node through
 * restarts and changes of role, from where it stood if the node can continue, else from the node's new content.
 */
export class NodeRecorder implements AsyncDisposable {
  readonly history: MarkHistory;
  readonly port: number;
  /** Times that the node could not continue; its history was taken anew. */
  restarts = 0;
  /** What ended the recording for good, if anything did: the stream was not what a recorder understands. */
  failure: unknown;
  #replid: string | null = null;
  #framer = new CommandFramer();
  #isClosed = false;
  #socket: Socket | null = null;
  readonly #ended: Promise<void>;
  #isStreaming = false;

  constructor(port: number, history: MarkHistory) {
    this.port = port;
    this.history = history;
    this.#ended = this.#run();
  }

  get offset(): number {
    return this.#framer.offset;
  }

  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#socket?.destroy();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed && this.failure === undefined) {
      await this.#follow();
      this.#isStreaming = false;
      await sleep(RETRY_MS);
    }
  }

  async #follow(): Promise<void> {
    const socket = connect({ host: "127.0.0.1", port: this.port });
    this.#socket = socket;
    socket.on("error", () => undefined);
    const acknowledging = setInterval(() => {
      if (this.#isStreaming) socket.write(encodeCommand(["REPLCONF", "ACK", this.offset]));
    }, ACK_MS);
    try {
      await once(socket, "connect").catch((cause: unknown) => {
        throw new LinkEnded("the node does not listen", { cause });
      });
      socket.write(encodeCommand(["REPLCONF", "capa", "psync2"]));
      socket.write(encodeCommand(this.#replid === null ? ["PSYNC", "?", "-1"] : ["PSYNC", this.#replid, this.offset + 1]));
      await this.#read(new ByteSource(socket));
    } catch (error) {
      if (!(error instanceof LinkEnded)) this.failure = error;
    } finally {
      clearInterval(acknowledging);
      socket.destroy();
    }
  }

  async #read(bytes: ByteSource): Promise<void> {
    await bytes.line(); // REPLCONF: servers answer OK, or what does not matter here
    const [word = "", replid, offset] = (await bytes.line()).split(" ");
    if (word === "+FULLRESYNC") {
      const marks = await readMarks(bytes);
      this.history.restart(marks);
      this.restarts++;
      this.#framer = new CommandFramer({ offset: Number(offset) });
      this.#replid = replid ?? null;
    } else if (word === "+CONTINUE") {
      // A command that had come in part is sent again from its begin.
      this.#framer = new CommandFramer({ offset: this.offset });
      this.#replid = replid ?? this.#replid;
    } else return;
    this.#isStreaming = true;
    for (;;) {
      this.#framer.push(await bytes.some());
      while (this.#framer.next()) this.#take();
    }
  }

  #take(): void {
    const framer = this.#framer;
    const arg = (index: number): Buffer => framer.buffer.subarray(framer.argStart(index), framer.argEnd(index));
    const name = arg(0).toString("latin1").toUpperCase();
    const args = Array.from({ length: Math.min(framer.argc - 1, name === "DEL" ? Infinity : 3) }, (_, index) => arg(index + 1));
    this.history.take({ name, args });
    const key = args[0]?.toString("latin1") ?? "";
    if (!name.startsWith("RESTORE") || !key.startsWith(OWN_KEY_PREFIX)) return;
    this.history.arrived(key, rdbString(readDumpPayload(args[2] ?? Buffer.alloc(0)).value).toString("latin1"));
  }
}

class LinkEnded extends Error {}

/** What arrives on a socket, to be asked for. */
class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** The next bytes, at least one. */
  async some(): Promise<Buffer> {
    if (this.#rest.length > 0) {
      const rest = this.#rest;
      this.#rest = Buffer.alloc(0);
      return rest;
    }
    const next = await this.#chunks.next().catch((cause: unknown) => {
      throw new LinkEnded("the connection broke", { cause });
    });
    if (next.done === true) throw new LinkEnded("the connection was closed");
    return next.value;
  }

  unread(bytes: Buffer): void {
    this.#rest = Buffer.concat([bytes, this.#rest]);
  }

  /** The next line that is not empty, without its end: newlines are sent to keep a waiting replica alive. */
  async line(): Promise<string> {
    let held = Buffer.alloc(0);
    for (;;) {
      held = Buffer.concat([held, await this.some()]);
      while (held[0] === 0x0a) held = held.subarray(1);
      const end = held.indexOf("\r\n");
      if (end < 0) continue;
      this.unread(held.subarray(end + 2));
      return held.subarray(0, end).toString("latin1");
    }
  }
}

/** Reads an RDB that comes with its length ahead, and returns the marks in it. */
async function readMarks(bytes: ByteSource): Promise<Map<string, string>> {
  const header = await bytes.line();
  if (!/^\$\d+$/.test(header))
    throw new Error(`the node on its way to a copy sent ${JSON.stringify(header.slice(0, 80))}, expected $<length>`);
  const marks = new Map<string, string>();
  const nothing = (): void => undefined;
  const reader = new RdbReader({
    aux: nothing,
    selectDb: nothing,
    resizeDb: nothing,
    functionLibrary: nothing,
    moduleAux: nothing,
    entryStart: nothing,
    entryPart: nothing,
    entryEnd: nothing,
    entry: (entry: Readonly<RdbEntry>) => {
      const key = entry.key.toString("latin1");
      if (key.startsWith(OWN_KEY_PREFIX) && !key.includes("}:tmp:") && entry.type === 0)
        marks.set(key, rdbString(entry.value).toString("latin1"));
    },
  });
  let left = Number(header.slice(1));
  while (left > 0) {
    const chunk = await bytes.some();
    const own = chunk.subarray(0, left);
    if (own.length < chunk.length) bytes.unread(chunk.subarray(left));
    reader.push(own);
    left -= own.length;
  }
  reader.finish();
  return marks;
}
