import { Call } from "./call.ts";
import { findCommand } from "./commands/command-set.ts";
import { refusalOf } from "./server-refusal.ts";
import type { SimClient } from "./sim-client.ts";
import { hasArity, type SimCommand } from "./sim-command.ts";
import { failure, OK, QUEUED, Refusal, type Encoded } from "./sim-reply.ts";
import type { SimServer } from "./sim-server.ts";
import type { SimSession } from "./sim-session.ts";
import { redirectOf } from "./slot-routing.ts";

/** Commands that are never queued. */
const AT_ONCE = new Set(["exec", "discard", "multi", "watch", "quit", "reset"]);

/**
 * Takes requests through the checks of Redis' `processCommand` (server.c), in its order, and runs them. What one of them changes,
 * with all that a transaction or a script runs, is one unit of the replication stream.
 */
export class CommandRunner {
  readonly #server: SimServer;
  #effects: { readonly db: number; readonly args: readonly string[] }[] = [];
  /** The session whose request is running; null for others. */
  session: SimSession | null = null;

  constructor(server: SimServer) {
    this.#server = server;
  }

  /** One request, from the first check to the replication of what it changed. */
  run(client: SimClient, args: readonly string[], session: SimSession | null): Encoded {
    this.session = session;
    const reply = this.#process(client, args);
    if (client.kind === "primary") this.#effects = [];
    else this.propagate(true);
    return reply;
  }

  /** The command of that name, in any letter case. */
  commandOf(name: string): SimCommand | undefined {
    return findCommand(name);
  }

  /** Runs a command that has passed all checks. */
  execute(client: SimClient, command: SimCommand, args: readonly string[]): Encoded {
    const db = client.db;
    const call = new Call(this.#server, client, command, args);
    let reply: Encoded;
    try {
      reply = command.run(call);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      reply = failure(refusal.message);
    }
    for (const effect of call.effects) this.#effects.push({ db, args: effect });
    return reply;
  }

  /** Something that was changed beside what the running command is about. */
  effect(db: number, args: readonly string[]): void {
    this.#effects.push({ db, args });
  }

  /** Writes to the log what was changed since the last time. */
  propagate(isTransaction: boolean): void {
    if (this.#effects.length === 0) return;
    const effects = this.#effects;
    this.#effects = [];
    this.#server.log.write(effects, isTransaction);
    this.#server.unitEnded();
  }

  #process(client: SimClient, args: readonly string[]): Encoded {
    const command = findCommand(args[0] ?? "");
    if (command?.name === "quit") {
      this.session?.hangUpLater();
      return OK;
    }
    const refusal = command === undefined ? unknownCommand(args) : this.#refusal(client, command, args);
    let reply: Encoded;
    if (refusal !== null) reply = this.#refuse(client, command, refusal);
    else if (command !== undefined && client.queue !== null && !AT_ONCE.has(command.name)) {
      // What will not run is not kept, so that it counts for nothing when EXEC is judged (multi.c, `queueMultiCommand`).
      if (!client.isSpoilt && !client.isDirty) client.queue.push({ command, args });
      reply = QUEUED;
    } else reply = this.execute(client, command as SimCommand, args);
    // It concerns the next command, or the next transaction (networking.c, `resetClient`).
    if (client.queue === null && command?.name !== "asking") client.isAsking = false;
    return reply;
  }

  #refusal(client: SimClient, command: SimCommand, args: readonly string[]): string | null {
    if (!hasArity(command, args.length)) return `ERR wrong number of arguments for '${command.name}' command`;
    if (client.kind === "primary") return null;
    if (client.queue !== null && !command.isTransactional) return "ERR Command not allowed inside a transaction";
    const { password } = this.#server.options;
    if (password !== undefined && client.kind === "session" && !client.isAuthenticated && !WITHOUT_AUTH.has(command.name)) {
      return "NOAUTH Authentication required.";
    }
    return redirectOf(this.#server, client, command, args) ?? refusalOf(this.#server, client, command);
  }

  /** A refused command spoils the transaction it was to be queued in; a refused EXEC ends it. */
  #refuse(client: SimClient, command: SimCommand | undefined, refusal: string): Encoded {
    if (command?.name !== "exec") {
      if (client.queue !== null) client.isSpoilt = true;
      return failure(refusal);
    }
    client.endTransaction();
    if (/^(?:MOVED|ASK|CROSSSLOT|TRYAGAIN|CLUSTERDOWN)/.test(refusal)) return failure(refusal);
    return failure(`EXECABORT Transaction discarded because of: ${refusal}`);
  }
}

const WITHOUT_AUTH = new Set(["auth", "hello", "quit", "reset"]);

function unknownCommand(args: readonly string[]): string {
  let shown = "";
  for (let index = 1; index < args.length && shown.length < 128; index++) {
    shown += `'${(args[index] ?? "").slice(0, 128 - shown.length)}' `;
  }
  return `ERR unknown command '${(args[0] ?? "").slice(0, 128)}', with args beginning with: ${shown}`;
}
