import { Connection } from "../connection/connection.ts";
import { endpointName, type Endpoint } from "../connection/endpoint.ts";
import type { Reply } from "../resp/reply.ts";
import type { Address } from "./deployment.ts";

/**
 * Connections for questions to the servers of one deployment, with the TLS and the credentials of its endpoint: one each, opened when it is first
 * asked something and again when it was lost. Call `close` at the end.
 */
export class ClusterConnections {
  readonly #credentials: Pick<Endpoint, "tls" | "user" | "password" | "nodes">;
  readonly #timeoutMs: number;
  readonly #open = new Map<string, Promise<Connection>>();
  readonly #ending = new AbortController();

  /** `timeoutMs`: for connecting, and for each answer. */
  constructor(credentials: Omit<Endpoint, "host" | "port">, timeoutMs: number) {
    const { tls, user, password, nodes } = credentials;
    this.#credentials = {
      ...(tls === undefined ? {} : { tls }),
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      ...(nodes === undefined ? {} : { nodes }),
    };
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Sends one command to the server at `address`.
   * @throws {ReplyError} the reply is an error, or the credentials were refused.
   * @throws {ConnectionLost} it can't be reached, or was silent for too long.
   */
  async call({ host, port }: Address, args: readonly string[]): Promise<Reply> {
    const endpoint: Endpoint = { ...this.#credentials, host, port };
    const name = endpointName(endpoint);
    let opening = this.#open.get(name);
    if (opening === undefined) {
      opening = this.#connect(name, endpoint);
      this.#open.set(name, opening);
    }
    return (await opening).call(args);
  }

  /** A command whose reply is text. Throws what `call` throws, and `Error` when it is something else. */
  async text(address: Address, args: readonly string[]): Promise<string> {
    const reply = await this.call(address, args);
    if (typeof reply === "string") return reply;
    if (Buffer.isBuffer(reply)) return reply.toString("latin1");
    throw new Error(`${args.join(" ")}: expected text`);
  }

  /** Closes the connections to all servers but these. */
  keepOnly(addresses: Iterable<Address>): void {
    const kept = new Set([...addresses].map((address) => endpointName(address)));
    for (const [name, opening] of this.#open) {
      if (kept.has(name)) continue;
      this.#open.delete(name);
      opening.then((connection) => connection.close()).catch(() => undefined);
    }
  }

  /** Whatever is asked rejects; may be called again. */
  close(): void {
    this.#ending.abort();
    this.#open.clear();
  }

  #connect(name: string, endpoint: Endpoint): Promise<Connection> {
    const opening = Connection.open(endpoint, {
      connectTimeoutMs: this.#timeoutMs,
      idleTimeoutMs: this.#timeoutMs,
      signal: this.#ending.signal,
    });
    const forget = (): void => {
      if (this.#open.get(name) === opening) this.#open.delete(name);
    };
    opening.then((connection) => connection.closed).then(forget, forget);
    return opening;
  }
}
