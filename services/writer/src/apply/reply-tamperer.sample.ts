import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { CommandFramer, ReplyFramer } from "@sluice/redis";

/** One command on its way to a server; `index` counts the commands of its connection. */
export interface Passing {
  readonly args: readonly string[];
  readonly index: number;
}

/**
 * What becomes of a command: null lets it through; text is answered in its place, and the server never sees it; `drop` lets it
 * through and breaks the connection instead of passing on its reply; `bare` is answered in its place as no server would, so that
 * a transaction goes on without it.
 */
export type Tamper = (command: Passing) => string | { readonly drop: true } | { readonly bare: string } | null;

/** A command whose reply the client waits for. */
interface Owed {
  readonly canned: string | null;
  /** The server answers, too, and that is not for the client. */
  readonly isSilent: boolean;
  readonly isDropped: boolean;
  readonly isMap: boolean;
}

/**
 * A man in the middle of Redis connections that answers single commands in a server's place, as the server would: what is refused
 * inside MULTI makes EXEC answer EXECABORT and nothing of the transaction run, and so does a refused EXEC.
 */
export class ReplyTamperer implements AsyncDisposable {
  tamper: Tamper = () => null;
  /** Ports in replies of CLUSTER, by those of other tamperers that stand before them. */
  readonly ports = new Map<number, number>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(target: number): Promise<ReplyTamperer> {
    const server = createServer();
    const tamperer = new ReplyTamperer(server);
    server.on("connection", (client) => tamperer.#meet(client, target));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    tamperer.ports.set(target, tamperer.port);
    return tamperer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #meet(client: Socket, target: number): void {
    const server = connect(target, "127.0.0.1");
    const link = new Link(client, server, (command) => this.tamper(command), this.ports);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        client.destroy();
        server.destroy();
        this.#sockets.delete(socket);
      });
    }
    client.on("data", (bytes: Buffer) => link.fromClient(bytes));
    server.on("data", (bytes: Buffer) => link.fromServer(bytes));
  }
}

class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #tamper: Tamper;
  readonly #ports: ReadonlyMap<number, number>;
  readonly #commands = new CommandFramer();
  readonly #replies = new ReplyFramer();
  #owed: Owed[] = [];
  #index = 0;
  #isInside = false;
  #refused: string | null = null;

  constructor(client: Socket, server: Socket, tamper: Tamper, ports: ReadonlyMap<number, number>) {
    this.#client = client;
    this.#server = server;
    this.#tamper = tamper;
    this.#ports = ports;
  }

  fromClient(bytes: Buffer): void {
    const framer = this.#commands;
    framer.push(bytes);
    const out: Buffer[] = [];
    while (framer.next()) {
      const args = Array.from({ length: framer.argc }, (_, at) =>
        framer.buffer.toString("latin1", framer.argStart(at), framer.argEnd(at)),
      );
      const name = (args[0] ?? "").toUpperCase();
      const action = this.#tamper({ args, index: this.#index++ });
      const isBare = action !== null && typeof action === "object" && "bare" in action;
      const answer = isBare ? action.bare : typeof action === "string" ? action : null;
      const isDropped = action !== null && typeof action === "object" && "drop" in action;
      const raw = Buffer.from(framer.buffer.subarray(framer.start, framer.end));
      if (name === "EXEC" && this.#isInside && (answer !== null || this.#refused !== null)) {
        out.push(Buffer.from("*1\r\n$7\r\nDISCARD\r\n"));
        const canned = answer ?? `-EXECABORT Transaction discarded because of previous errors.`;
        this.#owed.push({ canned, isSilent: true, isDropped, isMap: false });
      } else if (answer === null) {
        out.push(raw);
        this.#owed.push({ canned: null, isSilent: false, isDropped, isMap: name === "CLUSTER" });
      } else this.#owed.push({ canned: answer, isSilent: false, isDropped, isMap: false });
      if (answer !== null && this.#isInside && !isBare) this.#refused = answer;
      if (name === "MULTI" && answer === null) [this.#isInside, this.#refused] = [true, null];
      if (name === "EXEC" || name === "DISCARD") [this.#isInside, this.#refused] = [false, null];
    }
    if (out.length > 0) this.#server.write(Buffer.concat(out));
    this.#answer();
  }

  fromServer(bytes: Buffer): void {
    this.#replies.push(bytes);
    this.#answer();
  }

  #answer(): void {
    const out: string[] = [];
    for (let owed = this.#owed[0]; owed !== undefined; owed = this.#owed[0]) {
      const waits = owed.canned === null || owed.isSilent;
      if (waits && !this.#replies.next()) break;
      if (owed.isDropped) {
        this.#client.destroy();
        return;
      }
      const { buffer, start, end } = this.#replies;
      out.push(owed.canned === null ? this.#mapped(buffer.toString("latin1", start, end), owed.isMap) : `${owed.canned}\r\n`);
      this.#owed.shift();
    }
    if (out.length > 0) this.#client.write(Buffer.from(out.join(""), "latin1"));
  }

  #mapped(reply: string, isMap: boolean): string {
    if (!isMap && !reply.startsWith("-MOVED") && !reply.startsWith("-ASK")) return reply;
    let mapped = reply;
    for (const [real, ours] of this.#ports) mapped = mapped.replaceAll(`:${real}\r\n`, `:${ours}\r\n`);
    return mapped;
  }
}
