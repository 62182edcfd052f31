import { Duplex } from "node:stream";
import type { SimServer } from "../redis/sim-server.ts";
import type { SimSession } from "../redis/sim-session.ts";
import type { Dice } from "./dice.ts";
import { Pipe } from "./pipe.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimProcess } from "./sim-process.ts";

/**
 * Connections between the processes and the servers of a world. Bytes keep their order in each direction and take a while; what
 * a process had written when it was killed still arrives.
 */
export class Network {
  readonly #scheduler: Scheduler;
  readonly #dice: Dice;
  readonly #servers = new Map<string, SimServer>();
  readonly #open = new Set<SimConnection>();
  readonly #unreachable = new Set<string>();
  /** Longest time that bytes take on their way, in ms. */
  slownessMs = 1;

  constructor(scheduler: Scheduler, dice: Dice) {
    this.#scheduler = scheduler;
    this.#dice = dice;
  }

  /** A server answers at an address from here on, in the place of whoever did. */
  listen(host: string, port: number, server: SimServer): void {
    this.#servers.set(`${host}:${port}`, server);
  }

  /** Nobody reaches an address any more, and who has reached it hears nothing; `mend` undoes it. */
  part(address: string): void {
    this.#unreachable.add(address);
  }

  mend(address: string): void {
    this.#unreachable.delete(address);
  }

  isParted(address: string): boolean {
    return this.#unreachable.has(address);
  }

  get addresses(): readonly string[] {
    return [...this.#servers.keys()];
  }

  /** Breaks every connection to an address, or those that `chosen` picks; bytes on their way may arrive or not. */
  cut(address: string, chosen: (owner: SimProcess) => boolean = () => true): void {
    for (const connection of Array.from(this.#open)) {
      if (connection.address === address && chosen(connection.owner)) connection.cut(this.#dice.oneIn(2));
    }
  }

  /** What `net.connect` would answer with. Emits `connect`, or `error`. */
  connect(host: string, port: number): Duplex {
    const owner = this.#scheduler.current;
    if (owner === null) throw new Error("only a process of the world can connect");
    const address = `${host}:${port}`;
    const server = this.#servers.get(address);
    const connection = new SimConnection(address, owner, this, () => this.#open.delete(connection));
    this.#scheduler.after(this.latencyMs(), owner, () => {
      if (connection.socket.destroyed || this.isParted(address)) return;
      if (server?.isUp === true) {
        this.#open.add(connection);
        connection.accept(server);
        connection.socket.emit("connect");
      } else connection.socket.destroy(new Error(`connect ECONNREFUSED ${address}`));
    });
    return connection.socket;
  }

  latencyMs(): number {
    return 0.05 + this.#dice.roll() * this.slownessMs;
  }

  get scheduler(): Scheduler {
    return this.#scheduler;
  }
}

/** One connection: the socket that the process holds, and the session that it has at the server. */
class SimConnection {
  readonly address: string;
  readonly owner: SimProcess;
  readonly socket: SimSocket;
  readonly #toServer: Pipe;
  readonly #toClient: Pipe;
  readonly #forget: () => void;
  #session: SimSession | null = null;
  #isOver = false;

  constructor(address: string, owner: SimProcess, network: Network, forget: () => void) {
    this.address = address;
    this.owner = owner;
    this.#toServer = new Pipe(network, address, null);
    this.#toClient = new Pipe(network, address, owner);
    this.#forget = forget;
    this.socket = new SimSocket({
      write: (bytes) => this.#toServer.put(() => this.#session?.receive(bytes)),
      closed: () => this.#hangUp(),
    });
    owner.onEnd(() => this.#hangUp());
  }

  accept(server: SimServer): void {
    this.#session = server.connect({
      send: (bytes) => this.#toClient.put(() => this.socket.push(bytes)),
      hangUp: () => this.#end(() => this.socket.push(null)),
    });
  }

  /** Breaks it. `arrive`: whether the server still gets what is on its way. */
  cut(arrive: boolean): void {
    this.#end(() => this.socket.destroy(new Error("read ECONNRESET")));
    if (!arrive) this.#toServer.drop();
    this.#hangUp();
  }

  #end(end: () => void): void {
    this.#forget();
    this.#toClient.put(() => {
      if (!this.socket.destroyed) end();
    });
  }

  #hangUp(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#forget();
    this.#toServer.put(() => {
      const session = this.#session;
      this.#session = null;
      session?.close();
    });
  }
}

interface SocketEnds {
  readonly write: (bytes: Buffer) => void;
  readonly closed: () => void;
}

/** The parts of a `net.Socket` that Sluice uses. */
class SimSocket extends Duplex {
  readonly #ends: SocketEnds;
  bytesWritten = 0;

  constructor(ends: SocketEnds) {
    super({ allowHalfOpen: false });
    this.#ends = ends;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  override _read(): void {
    // Bytes come when they arrive.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.bytesWritten += chunk.length;
    this.#ends.write(Buffer.from(chunk));
    done();
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    const bytes = Buffer.concat(chunks.map(({ chunk }) => chunk));
    this._write(bytes, "buffer", done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#ends.closed();
    done(error);
  }
}
