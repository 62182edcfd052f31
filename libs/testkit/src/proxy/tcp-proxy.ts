import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Direction } from "./byte-flow.ts";
import { freePort, releasePort } from "../servers/free-port.ts";
import { LinkWeather } from "./link-weather.ts";
import { ProxiedLink } from "./proxied-link.ts";

export interface TcpProxyOptions {
  /** Where every connection is carried on to; nobody need listen there yet. */
  readonly to: { readonly host: string; readonly port: number };
  /** Default: a free one. */
  readonly port?: number;
}

/**
 * A port of 127.0.0.1 in front of a server, for tests of what a network does. What is set holds for the connections that there
 * are and for those to come. A connection to a server that does not listen is accepted and then reset.
 */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  /** Of the connections that come now, and of those that there are unless they were stranded. */
  #weather = new LinkWeather();
  readonly #links = new Set<ProxiedLink>();
  readonly #passed = { requests: 0, replies: 0 };
  #to: TcpProxyOptions["to"];
  #listener: Server | null = null;
  #connections = 0;

  private constructor(port: number, to: TcpProxyOptions["to"]) {
    this.port = port;
    this.#to = to;
  }

  static async start(options: TcpProxyOptions): Promise<TcpProxy> {
    const proxy = new TcpProxy(options.port ?? (await freePort()), options.to);
    await proxy.accept();
    return proxy;
  }

  /** Bytes that were handed to the server. */
  get requestBytes(): number {
    return this.#passed.requests;
  }

  /** Bytes that were handed to clients. */
  get replyBytes(): number {
    return this.#passed.replies;
  }

  /** Bytes from clients that wait here; at most about 1 MiB for each connection. */
  get heldRequestBytes(): number {
    return this.#heldBytes("requests");
  }

  /** Bytes from the server that wait here; at most about 1 MiB for each connection. */
  get heldReplyBytes(): number {
    return this.#heldBytes("replies");
  }

  /** Connections that were accepted so far. */
  get connections(): number {
    return this.#connections;
  }

  /** The ports from which the server sees the present connections come, as in its CLIENT LIST. */
  get serverSidePorts(): number[] {
    return [...this.#links].flatMap((link) => link.serverSidePort ?? []);
  }

  /** Connections that are opened from now on go to another server; those that there are stay where they are. */
  leadTo(to: TcpProxyOptions["to"]): void {
    this.#to = to;
  }

  /** Resets every connection, on both sides. */
  cut(): void {
    for (const link of this.#links) link.cut();
  }

  /** Half-open: nothing flows and nobody hears of a close or a reset. New connections are accepted and silent. */
  pause(): void {
    this.#weather.hold("requests", "replies");
  }

  /** Ends `pause`, and `holdReplies`: what waited flows, in order. */
  resume(): void {
    this.#weather.release("requests", "replies");
  }

  /**
   * Keeps what is sent to the server on the connections that there are, whatever else is set; replies come, and other connections
   * are as before. After `release` it arrives, late, also if who sent it is gone.
   */
  strand(): { release(): void } {
    const stranded = this.#weather;
    stranded.hold("requests");
    this.#weather = new LinkWeather();
    return { release: () => stranded.release("requests") };
  }

  /** Requests go through, replies wait here until `releaseReplies`. */
  holdReplies(): void {
    this.#weather.hold("replies");
  }

  releaseReplies(): void {
    this.#weather.release("replies");
  }

  /** Each way takes so much longer, in milliseconds; 0 ends it. */
  delay(ms: number): void {
    this.#weather.delayMs = ms;
  }

  /** The most that each direction of each connection carries; Infinity ends it. @throws RangeError below 50 */
  bandwidth(bytesPerSecond: number): void {
    if (!(bytesPerSecond >= 50)) throw new RangeError(`a bandwidth of at least 50 bytes per second, not ${bytesPerSecond}`);
    this.#weather.bytesPerSecond = bytesPerSecond;
  }

  /** New connections are refused (ECONNREFUSED) until `accept`; those that there are go on. */
  refuse(): void {
    this.#listener?.close();
    this.#listener = null;
  }

  /** Ends `refuse`; resolves when it listens. */
  async accept(): Promise<void> {
    if (this.#listener !== null) return;
    const listener = createServer({ allowHalfOpen: true }, (socket) => this.#carry(socket));
    this.#listener = listener;
    listener.listen({ host: "127.0.0.1", port: this.port });
    await once(listener, "listening");
  }

  /** As it was at the start: no pause, delay, limit or refusal. */
  async clear(): Promise<void> {
    this.#weather.delayMs = 0;
    this.#weather.bytesPerSecond = Infinity;
    this.resume();
    await this.accept();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse();
    const links = [...this.#links];
    this.cut();
    await Promise.all(links.map((link) => link.closed));
    releasePort(this.port);
  }

  #heldBytes(direction: Direction): number {
    return [...this.#links].reduce((sum, link) => sum + link.heldBytes(direction), 0);
  }

  #carry(socket: Socket): void {
    this.#connections++;
    const link = new ProxiedLink(socket, this.#to, this.#weather, (direction, bytes) => {
      this.#passed[direction] += bytes;
    });
    this.#links.add(link);
    void link.closed.then(() => this.#links.delete(link));
  }
}
