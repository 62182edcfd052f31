import { CommandFramer, Connection, type CommandArgument, type Reply, type ReplyReader } from "@sluice/redis";
import { RedisServer } from "@sluice/testkit";
import { expect, test } from "vitest";
import { Request } from "./request.ts";
import { WatchedTransaction } from "./watched-transaction.ts";

const [MARK, BESIDE] = ["mark", "beside"];

/** Sends what it is given command by command, each behind the reply to the one before, and lets others act in between. */
class SteppedConnection {
  readonly #connection: Connection;
  readonly #acted: () => Promise<void>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: Connection, acted: () => Promise<void>) {
    this.#connection = connection;
    this.#acted = acted;
  }

  async call(args: readonly CommandArgument[]): Promise<Reply> {
    return this.#step(() => this.#connection.call(args));
  }

  async exchange(request: readonly Buffer[], _: number, read: ReplyReader): Promise<void> {
    const framer = new CommandFramer({}, Buffer.concat(request));
    while (framer.next()) {
      const command = Buffer.from(framer.buffer.subarray(framer.start, framer.end));
      await this.#step(() => this.#connection.exchange(command, 1, read));
    }
  }

  async #step<T>(send: () => Promise<T>): Promise<T> {
    const step = this.#last.then(async () => {
      try {
        return await send();
      } finally {
        await this.#acted();
      }
    });
    this.#last = step.catch(() => undefined);
    return step;
  }
}

function increment(): Request {
  const request = new Request();
  request.addCommand(["INCR", "n"]);
  return request;
}

// Mutations: watched-transaction.ts, the mark read before it is watched, or not watched at all: in `open`, in `reopen`, or behind a transaction
// (`#rearm`); the hash beside it read before that.
test.each([
  ["opened", async (connection: Connection) => WatchedTransaction.open(connection, MARK, BESIDE)],
  [
    "opened again",
    async (connection: Connection) => {
      await WatchedTransaction.open(connection, "another's");
      return WatchedTransaction.reopen(connection, MARK);
    },
  ],
])(
  "one-writer-per-lane: one that is %s notices another's transaction between whichever two of its commands",
  async (_, open) => {
    await using server = await RedisServer.start();
    const client = server.client();
    for (let step = 0, isOver = false; !isOver; step++) {
      await client.flushall();
      let left = step;
      const theirs = async (): Promise<void> => {
        if (left-- === 0) await client.multi().set(MARK, "theirs").hset(BESIDE, "key", "1").exec();
      };
      const own = await Connection.open({ host: "127.0.0.1", port: server.port });
      const transaction = await open(new SteppedConnection(own, theirs) as unknown as Connection);
      if (transaction.mark === "theirs" && transaction.beside !== null)
        expect(transaction.beside, `behind command ${step}`).toHaveLength(2);
      let isKnown = false;
      for (const next of ["1", "2"]) {
        const { mark } = transaction;
        const { outcome } = await transaction.apply(mark, increment(), next);
        isKnown ||= mark === "theirs" && outcome === "applied";
        const isStanding = (await client.get(MARK)) === "theirs";
        expect(left >= 0 || isKnown || isStanding, `behind command ${step}`).toBe(true);
      }
      isOver = left >= 0;
      own.close();
    }
  },
);
