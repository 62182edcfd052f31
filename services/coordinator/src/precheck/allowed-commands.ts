import { ReplyError, type Connection, type Reply } from "@sluice/redis";
import { replyText, type ServerProbe } from "./probe/server-probe.ts";

/** A command with arguments of which it only matters that there are enough. */
export type AskedCommand = readonly [name: string, ...args: string[]];

/** What a user may do; `isTold` false: this server can't be asked. */
export interface Allowance {
  readonly isTold: boolean;
  /** What the server said to each command that it would refuse. */
  readonly refused: ReadonlyMap<AskedCommand, string>;
}

const DRYRUN_SINCE = 70_000;
const UNKNOWN_COMMAND = /unknown (command|subcommand)/i;
const NO_PERMISSION = /^NOPERM|no permissions? to (run|access)|can't run this command|can't access/i;

/**
 * Whether the server would let us run these commands, without running any. From 7.0 on ACL DRYRUN tells; below, and where we may
 * not ask that, they are queued in a transaction that is discarded: a server judges permissions when a command is queued. Nothing
 * is queued unless the server has answered OK to MULTI, and QUEUED to a read.
 *
 * `mayQueue` false: only ACL DRYRUN is tried, from 7.0 on.
 */
export async function allowanceOf(
  server: ServerProbe,
  commands: readonly AskedCommand[],
  { mayQueue }: { readonly mayQueue: boolean },
): Promise<Allowance> {
  const { version } = await server.state();
  if (version >= DRYRUN_SINCE) {
    const dry = await dryRun(server, commands);
    if (dry.isTold || !mayQueue) return dry;
  }
  return server.alone(async (connection) => queueAndDiscard(connection, commands));
}

async function dryRun(server: ServerProbe, commands: readonly AskedCommand[]): Promise<Allowance> {
  try {
    const user = await server.text("ACL", "WHOAMI");
    const refused = new Map<AskedCommand, string>();
    const replies = await Promise.all(
      commands.map(async (command) => server.askAnew("ACL", "DRYRUN", user, ...command).catch(replyErrorOf)),
    );
    for (const [index, reply] of replies.entries()) {
      const command = commands[index];
      const text = reply instanceof ReplyError ? reply.message : replyText(reply);
      if (command === undefined || text === "OK") continue;
      if (reply instanceof ReplyError && NO_PERMISSION.test(text)) return { isTold: false, refused: new Map() };
      if (NO_PERMISSION.test(text) || /not found/i.test(text)) refused.set(command, text);
    }
    return { isTold: true, refused };
  } catch (cause) {
    if (cause instanceof ReplyError) return { isTold: false, refused: new Map() };
    throw cause;
  }
}

/** What a connection is asked; so that the order can be tested without a server of an old version. */
export interface Caller {
  call(args: readonly string[]): Promise<Reply>;
}

/**
 * Commands that end a transaction or can't be queued; asked bare, while none is open: EXEC and DISCARD then are errors, and what is
 * watched is forgotten with the connection.
 */
const BARE = new Set(["EXEC", "DISCARD", "WATCH", "UNWATCH"]);

export async function queueAndDiscard(connection: Connection | Caller, commands: readonly AskedCommand[]): Promise<Allowance> {
  const refused = new Map<AskedCommand, string>();
  const ask = async (args: readonly string[]): Promise<Reply> => connection.call(args).catch(replyErrorOf);
  const note = (command: AskedCommand, reply: Reply): void => {
    if (!(reply instanceof ReplyError)) return;
    if (NO_PERMISSION.test(reply.message) || UNKNOWN_COMMAND.test(reply.message)) refused.set(command, reply.message);
  };
  for (const command of commands.filter(([name]) => BARE.has(name))) note(command, await ask(command));
  const opened = await ask(["MULTI"]);
  for (const command of commands.filter(([name]) => name === "MULTI")) note(command, opened);
  // A bare PSYNC would begin a sync: it is sent only inside what is known to be a transaction.
  if (opened !== "OK") return { isTold: refused.size > 0, refused };
  if ((await ask(["PING"])) !== "QUEUED") return { isTold: false, refused: new Map() };
  const queued = commands.filter(([name]) => !BARE.has(name) && name !== "MULTI");
  const replies = await Promise.all(queued.map(async (command) => ask(command)));
  for (const [index, command] of queued.entries()) note(command, replies[index] ?? null);
  await ask(["DISCARD"]);
  return { isTold: true, refused };
}

function replyErrorOf(cause: unknown): ReplyError {
  if (cause instanceof ReplyError) return cause;
  throw cause;
}
