import { Connection, encodeCommand, ReplyError } from "@sluice/redis";
import { Random, RedisServer, waitUntil } from "@sluice/testkit";
import { describe, expect, test } from "vitest";
import { observe, ObservedStream } from "./observed-stream.sample.ts";
import { RandomProgram, type ProgramStep } from "./random-program.sample.ts";
import { isClose, ModelClient, shortened, shown, type Difference } from "./reply-comparison.sample.ts";
import { SimServer, type SimFault } from "./sim-server.ts";

const STEPS = 500;
/** Steps shown in front of one that differs. */
const HISTORY = 6;

function newServer(seed: number): SimServer {
  const random = new Random(seed);
  return new SimServer({
    name: "model",
    host: "127.0.0.1",
    port: 6379,
    nowMs: () => Date.now(),
    random: () => random.fraction(),
  });
}

class Pair implements AsyncDisposable {
  readonly real: RedisServer;
  readonly model: SimServer;
  readonly #connections: readonly Connection[];
  readonly #clients: readonly ModelClient[];
  readonly #observed: Awaited<ReturnType<typeof observe>>;
  readonly #stream = new ObservedStream();

  private constructor(real: RedisServer, connections: readonly Connection[], observed: Awaited<ReturnType<typeof observe>>) {
    this.real = real;
    this.model = newServer(real.port);
    this.#connections = connections;
    this.#clients = [0, 1].map(() => new ModelClient(this.model));
    this.#observed = observed;
    this.model
      .connect({ send: (bytes) => this.#stream.push(bytes), hangUp: () => undefined })
      .receive(encodeCommand(["PSYNC", "?", "-1"]));
  }

  static async start(): Promise<Pair> {
    const real = await RedisServer.start({ config: { "repl-diskless-sync": "no" } });
    const endpoint = { host: "127.0.0.1", port: real.port };
    const connections = [await Connection.open(endpoint), await Connection.open(endpoint)];
    return new Pair(real, connections, await observe(real.port));
  }

  async both(step: ProgramStep): Promise<readonly [real: unknown, model: unknown]> {
    const name = String(step.args[0]).toLowerCase();
    const real = await (this.#connections[step.client] as Connection).call(step.args).catch((cause: unknown) => {
      if (cause instanceof ReplyError) return cause;
      throw cause;
    });
    const model = (this.#clients[step.client] as ModelClient).ask(step.args);
    return [shown(name, real), shown(name, model)];
  }

  /** Runs the steps on both. The first whose replies differ, with those before it; null when all are the same. */
  async run(steps: Iterable<ProgramStep>): Promise<Difference | null> {
    const history: string[] = [];
    for (const step of steps) {
      const [real, model] = await this.both(step);
      history.push(`${step.client}> ${step.args.map((arg) => shortened(arg)).join(" ")}  ${JSON.stringify(real)}`);
      if (!isClose(real, model)) return { real, model, history: history.slice(-HISTORY) };
    }
    return null;
  }

  /** What both streams hold since the last call. */
  async streams(): Promise<readonly [real: string[][], model: string[][]]> {
    const end = String(Math.random());
    await this.both({ client: 0, args: ["set", "end", end] });
    const { stream } = this.#observed;
    await waitUntil("the stream arrives", () => Promise.resolve(stream.commands.at(-1)?.at(-1) === end), {
      details: () => JSON.stringify(stream.commands.slice(-3)),
    });
    return [stream.commands.splice(0), this.#stream.commands.splice(0)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#observed.close();
    for (const connection of this.#connections) connection.close();
    await this.real[Symbol.asyncDispose]();
  }
}

/** Where two streams part, with what is around; null when they are the same. */
function partingOf([real, model]: readonly [string[][], string[][]]): Difference | null {
  const length = Math.max(real.length, model.length);
  const at = Array.from({ length }).findIndex((_, index) => !isClose(real[index], model[index]));
  if (at < 0) return null;
  const history = real.slice(Math.max(0, at - HISTORY), at).map((command) => command.join(" "));
  return { real: real.slice(at, at + 3), model: model.slice(at, at + 3), history };
}

describe("SimServer and a real server", () => {
  test("random programs of two clients: the same replies, the same replication stream", async () => {
    await using pair = await Pair.start();
    for (let seed = 1; seed <= 12; seed++) {
      const program = new RandomProgram(seed);
      expect(
        await pair.run([
          { client: 0, args: ["flushall"] },
          { client: 0, args: ["script", "flush"] },
        ]),
      ).toBeNull();
      expect(await pair.run(program.steps(STEPS))).toBeNull();
      expect(await pair.run(program.epilogue())).toBeNull();
      expect(partingOf(await pair.streams())).toBeNull();
    }
  });

  test.each<[SimFault, string, string, string]>([
    ["OOM", "maxmemory", "1", "0"],
    ["NOREPLICAS", "min-replicas-to-write", "3", "0"],
  ])("refuse the same commands with %s, in transactions and scripts, too", async (fault, option, bad, good) => {
    await using pair = await Pair.start();
    const connection = await Connection.open({ host: "127.0.0.1", port: pair.real.port });
    const set = async (value: string, failWith: SimFault | null): Promise<void> => {
      await connection.call(["CONFIG", "SET", option, value]);
      pair.model.failWith = failWith;
    };
    const program = new RandomProgram(7);
    for (let round = 0; round < 6; round++) {
      await set(good, null);
      expect(await pair.run(program.steps(100))).toBeNull();
      await set(bad, fault);
      expect(await pair.run(program.steps(100))).toBeNull();
    }
    await set(good, null);
    expect(await pair.run(program.epilogue())).toBeNull();
    expect(partingOf(await pair.streams())).toBeNull();
    connection.close();
  });
});
