import type { Redis } from "ioredis";
import type { Command } from "./command.ts";
import { runPipeline, type Reply } from "./pipeline.ts";

/** Commands that are sent one after the other on one connection. */
export interface Unit {
  readonly commands: readonly Command[];
  /** The slot of all its keys; a cluster needs it. */
  readonly slot?: number | undefined;
}

/** Where commands go. */
export interface Outlet {
  /** Server answers that made it send commands again. */
  readonly redirects: number;
  /**
   * Sends units; those of one slot are executed in the order in which they were given. Resolves when all have their replies.
   *
   * @param onReplies gets the replies of a unit as soon as they are there, in the order of its commands; a lost reply is an Error
   * for which `isLost` is true
   */
  send<T extends Unit>(units: readonly T[], onReplies: (unit: T, replies: readonly Reply[]) => void): Promise<void>;
  close(): void;
}

/** True for what stands in the place of a reply that never came: the command may have been executed or not. */
export function isLost(reply: Reply): boolean {
  return reply instanceof Error && reply.name !== "ReplyError";
}

/** One connection to one server. */
export class ServerOutlet implements Outlet {
  readonly redirects = 0;
  readonly #client: Redis;

  /** @param client closed by `close` */
  constructor(client: Redis) {
    this.#client = client;
  }

  async send<T extends Unit>(units: readonly T[], onReplies: (unit: T, replies: readonly Reply[]) => void): Promise<void> {
    const replies = await runPipeline(
      this.#client,
      units.flatMap((unit) => unit.commands),
    );
    let position = 0;
    for (const unit of units) onReplies(unit, replies.slice(position, (position += unit.commands.length)));
  }

  close(): void {
    this.#client.disconnect();
  }
}
