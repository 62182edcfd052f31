import {
  decodeReply,
  ElementCommands,
  RdbError,
  type CommandArgument,
  type Connection,
  type ElementCommand,
  type PendingIds,
  type Reply,
  type ReplyFramer,
  ReplyError,
} from "@sluice/redis";
import { Retryable, type Fault } from "@sluice/runtime";
import { Request } from "../apply/request.ts";
import { BuiltLength } from "./built-length.ts";
import { notTakenApart } from "./value-commands.ts";
import type { ValueForms } from "./value-forms.ts";

/** So much is sent before its answers are awaited: what of a value is in memory beside the part it came in. */
const REQUEST_BYTES = 1024 * 1024;
/** What an attempt that nobody comes back to leaves is gone after this. */
const LEFT_MS = 24 * 60 * 60 * 1000;

/** A value whose bytes come in pieces: a key of a full copy. */
export interface PartedEntry {
  readonly db: number;
  readonly type: number;
  readonly key: Buffer;
  /** Of a stream: `pendingIds` of its value. */
  readonly pending: PendingIds | null;
}

/** What the step that puts a built value in its place relies on. */
export interface BuiltValue {
  /** Null where the value has no elements, or none that the destination holds: its key is to be deleted. */
  readonly temporary: Buffer | null;
  /** Ask whether the value stands there whole; the first watches it. */
  readonly questions: readonly (readonly CommandArgument[])[];
  /** Throws `Retryable` DST-003 where it does not, by the answers. */
  readonly judge: (replies: readonly Reply[]) => void;
}

/**
 * Builds one value from its elements as its bytes come, under a temporary key and outside of any step: chunks are not repeatable, so after an
 * answer that was lost another attempt begins anew, under another key.
 *
 *     bytes ▶ commands ▶ at most 1 MiB under way ▶ answers ▶ …more bytes…   ▶ `finish`: RENAME is for the step to do
 *
 * Anything may happen to that key meanwhile: it is evicted, or another writer of the lane takes it for a leftover. So the step watches it, and
 * asks behind that whether it is there and as long as it was made.
 */
export class ElementBuild {
  readonly #connection: Connection;
  readonly #entry: PartedEntry;
  readonly #group: string;
  readonly #temporary: Buffer;
  readonly #commands: ElementCommands;
  readonly #fault: (cause: unknown) => Fault;
  readonly #length = new BuiltLength();
  #request = new Request();
  #sent: ElementCommand[] = [];
  bytes = 0;

  /** `connection`: has the entry's database selected. `fault`: what a failed call stands for. */
  constructor(
    connection: Connection,
    entry: PartedEntry,
    temporary: Buffer,
    { options: { group, server, shift, leftOut } }: ValueForms,
    fault: (cause: unknown) => Fault,
  ) {
    this.#connection = connection;
    this.#entry = entry;
    this.#temporary = temporary;
    this.#group = group;
    this.#fault = fault;
    this.#commands = new ElementCommands(entry.type, {
      key: temporary,
      destination: server,
      shift,
      lacks: (what) => leftOut.lacks(entry.db, entry.key, what),
      ...(entry.pending === null ? {} : { pending: entry.pending }),
    });
  }

  /** The next bytes of the value. Throws `Retryable` DST-001, DST-003, `Halt` DST-002, DST-006, SRC-004. */
  async push(piece: Buffer): Promise<void> {
    await this.#run(this.#commands.push(piece));
  }

  async finish(): Promise<BuiltValue> {
    await this.#run(this.#commands.finish());
    if (this.#length.isNothing) return { temporary: null, questions: [], judge: () => undefined };
    const temporary = this.#temporary;
    const ask = this.#length.question(temporary);
    const questions: (readonly CommandArgument[])[] = [["WATCH", temporary], ["EXISTS", temporary], ask];
    if (!this.#length.mayBeGone) return { temporary, questions, judge: ([, exists, length]) => this.#judge(exists, length) };
    // Fields whose time is over went as they came, maybe all of them.
    const exists = await this.#connection.call(["EXISTS", temporary]).catch((cause: unknown) => {
      throw this.#fault(cause);
    });
    if (Number(exists) === 0) return { temporary: null, questions: [], judge: () => undefined };
    return { temporary, questions, judge: ([, still, length]) => this.#judge(still, length) };
  }

  #judge(exists: Reply | undefined, length: Reply | undefined): void {
    if (Number(exists) === 1 && this.#length.agrees(Number(length))) return;
    const what = `a value of type ${this.#entry.type} that was being built in ${this.#group} is not there whole any more`;
    throw new Retryable("DST-003", `destination ${this.#group}`, `${what} (evicted?): it is built anew`);
  }

  async #run(commands: Iterable<ElementCommand>): Promise<void> {
    const iterator = commands[Symbol.iterator]();
    for (;;) {
      const next = this.#next(iterator);
      if (next === null) break;
      this.#request.addCommand(next);
      this.#sent.push(next);
      this.#length.add(next);
      if (this.#request.bytes >= REQUEST_BYTES) await this.#send();
    }
    if (this.#sent.length > 0) await this.#send();
  }

  #next(commands: Iterator<ElementCommand, unknown>): ElementCommand | null {
    try {
      const next = commands.next();
      return next.done === true ? null : next.value;
    } catch (cause) {
      if (!(cause instanceof RdbError)) throw cause;
      throw notTakenApart(this.#entry.type, cause);
    }
  }

  async #send(): Promise<void> {
    const [request, sent] = [this.#request, this.#sent];
    this.#request = new Request();
    this.#sent = [];
    // With each of them: whoever takes the key for a leftover deletes it with its expiry, and what is sent behind that makes it anew.
    request.addCommand(["PEXPIRE", this.#temporary, LEFT_MS]);
    this.bytes += request.bytes;
    let failed: ReplyError | null = null;
    let at = 0;
    const read = (framer: ReplyFramer, remaining: number): number => {
      let taken = 0;
      while (taken < remaining && framer.next()) {
        const reply = decodeReply(framer.buffer, framer.start, framer.end);
        if (reply instanceof ReplyError) failed ??= reply;
        const command = sent[at];
        if (command !== undefined && typeof reply === "number") this.#length.answered(command, reply);
        at++;
        taken++;
      }
      return taken;
    };
    await this.#connection.exchange(request.finish(), request.commands, read).catch((cause: unknown) => {
      throw this.#fault(cause);
    });
    if (failed !== null) throw this.#fault(failed);
  }
}
