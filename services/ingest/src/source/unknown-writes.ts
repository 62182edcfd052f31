import {
  commandInfoRequest,
  commandTable,
  keyArgsInReply,
  keysRequest,
  ReplyError,
  unknownCommand,
  UnknownCommandError,
  type CommandArgument,
  type FramedCommand,
  type NamedKeys,
  type Reply,
} from "@sluice/redis";
import { Halt, printable } from "@sluice/runtime";
import { sourceFault } from "./psync-reply.ts";

/** Names that one link learns; the modules of all makers that we know have fewer writes. */
const MOST_LEARNED = 256;
const LONGEST_NAME = 64;

/** A command of a source that its reader could not place, and its offset in the stream. */
export interface UnplacedCommand {
  readonly command: FramedCommand;
  readonly offset: number;
}

/** Asks the server that sends the stream, on another connection. */
export interface SourceAsked {
  /** Rejects with `ReplyError`, or with the fault that a broken connection stands for. */
  ask(request: readonly CommandArgument[]): Promise<Reply>;
}

/** A reader that stopped at a write which it could not place, see `ChangeReader.push`. */
export interface StoppedReader {
  readonly unplaced: UnplacedCommand;
  goOn(keys: NamedKeys): boolean;
}

/**
 * Writes of a source that are in no table: those of its modules, and of a fork that we don't know. The source itself says where their keys stand.
 *
 *     first call of a name        COMMAND INFO <name>                           kept for the link, which leads to one run of one server
 *     rule in that                where the keys of this call stand             without asking, from then on
 *     no rule (movable keys)      COMMAND GETKEYSANDFLAGS | GETKEYS <call>      for each call
 *
 * What the source can't tell halts the shard: nobody knows then which lane the command belongs to, and what it changes.
 */
export class UnknownWrites {
  readonly #shard: string;
  readonly #version: number;
  readonly #source: SourceAsked;
  #table = commandTable;
  #learned = 0;

  /** `version`: see `SourceFacts.version`. */
  constructor(shard: string, version: number, source: SourceAsked) {
    this.#shard = shard;
    this.#version = version;
    this.#source = source;
  }

  /**
   * Has the reader go on until it has read what it was given. While the source is asked nothing more of the stream is read, so that it waits at the
   * source; what was read goes its way: `waiting` is called before each question. Throws as `learn` and the reader do.
   */
  async learnFor(reader: StoppedReader, waiting: () => void = () => undefined): Promise<void> {
    for (let isRead = false; !isRead;) {
      waiting();
      isRead = reader.goOn(await this.learn(reader.unplaced));
    }
  }

  /** Where its keys stand, as far as is known without asking; null otherwise. Throws `Halt` SRC-006 for a call that has none. */
  keysOf(unplaced: UnplacedCommand): NamedKeys | null {
    const { command } = unplaced;
    const id = this.#table.idOfCommand(command);
    if (id < 0 || this.#table.mustAskKeys(id)) return null;
    const args = new Int32Array(command.argc);
    const count = this.#table.keyArgs(id, command, args);
    if (count < 1 || count > command.argc)
      throw this.#halt(unplaced, `COMMAND INFO ${nameOf(command)}`, "by what it answers, this call names no keys");
    return { args: [...new Set(args.subarray(0, count))], noScript: this.#table.noScript[id] === 1 };
  }

  /** As `keysOf`, by the source's word. Throws `Halt` SRC-006, or what `ask` does where the source is away or not ready. */
  async learn(unplaced: UnplacedCommand): Promise<NamedKeys> {
    const { command } = unplaced;
    const name = nameOf(command);
    let id = this.#table.idOfCommand(command);
    if (id < 0) {
      const asked = `COMMAND INFO ${name}`;
      if (this.#learned >= MOST_LEARNED)
        throw this.#halt(unplaced, asked, `${MOST_LEARNED} names of this source have been learned, which is all that is kept`);
      const reply = await this.#ask(unplaced, asked, commandInfoRequest([rawName(command)]));
      const definition = this.#read(unplaced, asked, () =>
        unknownCommand(rawName(command), Array.isArray(reply) ? reply[0] : undefined),
      );
      this.#table = this.#table.with([definition]);
      this.#learned++;
      id = this.#table.idOfCommand(command);
    }
    const known = this.keysOf(unplaced);
    if (known !== null) return known;
    const asked = `COMMAND GETKEYS for a call of ${name}`;
    const request = this.#read(unplaced, asked, () => keysRequest(command, this.#version));
    const reply = await this.#ask(unplaced, asked, request);
    const args = this.#read(unplaced, asked, () => keyArgsInReply(command, reply));
    return { args, noScript: this.#table.noScript[id] === 1 };
  }

  async #ask(unplaced: UnplacedCommand, asked: string, request: readonly CommandArgument[]): Promise<Reply> {
    try {
      return await this.#source.ask(request);
    } catch (cause) {
      if (!(cause instanceof ReplyError)) throw cause;
      const fault = sourceFault(this.#shard, cause);
      if (fault.code === "SRC-003") throw fault;
      const answer = printable(cause.message.slice(0, 120));
      const help = cause.code === "NOPERM" || cause.code === "NOAUTH" ? ": let its user run COMMAND (ACL rule `+command`)" : "";
      // COMMAND GETKEYS says so, too, of a call that has no keys or that it does not understand.
      throw this.#halt(unplaced, asked, `the source answered ${answer}${help}`);
    }
  }

  #read<T>(unplaced: UnplacedCommand, asked: string, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      if (cause instanceof UnknownCommandError) throw this.#halt(unplaced, asked, cause.message);
      throw cause;
    }
  }

  #halt({ command, offset }: UnplacedCommand, asked: string, why: string): Halt {
    return new Halt(
      "SRC-006",
      `source ${this.#shard} sent ${nameOf(command)} at offset ${offset}, which Sluice does not know; asked by ${asked}: ${why}`,
    );
  }
}

function rawName({ buffer, argStarts, argLengths }: FramedCommand): string {
  const start = argStarts[0] as number;
  return buffer.toString("latin1", start, start + (argLengths[0] as number));
}

function nameOf(command: FramedCommand): string {
  return printable(rawName(command).slice(0, LONGEST_NAME));
}
