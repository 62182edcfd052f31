import { ProtocolFault, RequestParser } from "./request-parser.ts";
import { failure, type Encoded } from "./sim-reply.ts";
import { SimClient } from "./sim-client.ts";
import type { ReplicaFeed } from "./replica-feed.ts";
import type { SimServer } from "./sim-server.ts";

/** The other end of a session's connection. */
export interface SimLink {
  send(bytes: Buffer): void;
  hangUp(): void;
}

/** A connection of a client: requests in, replies out, in order. */
export class SimSession {
  readonly client: SimClient;
  /** Where it poses as a replica; null for an ordinary client. */
  feed: ReplicaFeed | null = null;
  /** What REPLCONF said of it. */
  readonly announced = new Map<string, string>();
  readonly #server: SimServer;
  readonly #link: SimLink;
  readonly #parser = new RequestParser();
  #replies: Encoded[] = [];
  #isOpen = true;
  #isLeaving = false;

  constructor(server: SimServer, id: number, link: SimLink) {
    this.client = new SimClient("session", id);
    this.#server = server;
    this.#link = link;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Bytes of the client arrived. Replies are sent before it returns. */
  receive(bytes: Buffer): void {
    if (!this.#isOpen || !this.#server.isUp) return;
    this.#parser.push(bytes);
    try {
      for (let args = this.#parser.next(); args !== null && !this.#isLeaving; args = this.#parser.next()) {
        this.#replies.push(this.#server.run(this.client, args, this));
      }
    } catch (fault) {
      if (!(fault instanceof ProtocolFault)) throw fault;
      this.#replies.push(failure(`ERR Protocol error: ${fault.message}`));
      this.#isLeaving = true;
    }
    this.flush();
    this.#server.settle();
    if (this.#isLeaving) this.hangUp();
  }

  /** The client closed the connection. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.client.endTransaction();
    this.#server.leave(this);
  }

  /** The server closes the connection, behind the replies to what it has read. */
  hangUpLater(): void {
    this.#isLeaving = true;
  }

  /** The server closes the connection now. */
  hangUp(): void {
    if (!this.#isOpen) return;
    this.close();
    this.#link.hangUp();
  }

  /** Sends the replies that wait. */
  flush(): void {
    if (this.#replies.length === 0) return;
    const text = this.#replies.join("");
    this.#replies = [];
    if (text !== "") this.send(Buffer.from(text, "latin1"));
  }

  send(bytes: Buffer): void {
    if (this.#isOpen) this.#link.send(bytes);
  }
}
