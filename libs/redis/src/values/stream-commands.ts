import type { CommandMaker, MakerOptions } from "./collection-commands.ts";
import type { ElementCommand } from "./command-chunk.ts";
import { PendingIds } from "./pending-ids.ts";
import { compareIds, idText, type StreamId } from "./stream-id.ts";
import type { PendingEntry, StreamGroup, StreamState, ValueElement } from "./value-element.ts";

/** Of a group that exists for a moment only, while there are no others. */
const PASSING_GROUP = "-";

/**
 * Makes the commands that build a stream.
 *
 *   XADD with its id for each entry · XSETID · for each group XGROUP CREATE, for each of its consumers CREATECONSUMER and XCLAIM
 *
 * A stream without entries comes into being with a group (MKSTREAM) that is destroyed again: unlike XADD and XDEL, that leaves no
 * highest deleted id.
 *
 * XCLAIM makes an entry pending only while it is in the stream, but entries may be pending that were deleted since. `placeholders` are
 * the ids of all that is pending: the ones that are no entries are added in their place, claimed, and deleted at the end. Where they
 * stand before all entries, XTRIM deletes them, because XDEL would raise the highest deleted id, which XSETID can set to
 * any id but none. So a stream whose entries were trimmed keeps `max-deleted-entry-id` 0-0.
 *
 * Consumers' times have no command that sets them: they begin anew.
 */
export class StreamCommands implements CommandMaker {
  readonly #options: MakerOptions;
  readonly #placeholders: PendingIds;
  #nextPlaceholder = 0;
  /** Ids that were added and are to be deleted again: before the first entry, and behind it. */
  readonly #before = new PendingIds();
  readonly #between = new PendingIds();
  #firstId: StreamId | undefined;
  #lastId: StreamId = { ms: 0n, seq: 0n };
  #state: StreamState | undefined;
  #group: Buffer = Buffer.alloc(0);
  #consumer: Buffer = Buffer.alloc(0);
  /** Entries of one consumer that were delivered at the same time and as often: one XCLAIM. */
  #claimed: PendingEntry[] = [];

  constructor(options: MakerOptions, placeholders: PendingIds) {
    this.#options = options;
    this.#placeholders = placeholders;
  }

  *add(element: ValueElement): Iterable<ElementCommand> {
    switch (element.kind) {
      case "entry":
        yield* this.#placeholdersBelow(element.id);
        this.#firstId ??= element.id;
        this.#lastId = element.id;
        yield ["XADD", this.#options.key, idText(element.id), ...element.fieldsAndValues];
        return;
      case "stream":
        yield* this.#begin(element);
        return;
      case "group":
        yield* this.#claim();
        yield this.#createGroup(element);
        return;
      case "consumer":
        yield* this.#claim();
        this.#consumer = element.name;
        yield this.#createConsumer();
        return;
      case "pending":
        if (!this.#isAlike(element)) yield* this.#claim();
        this.#claimed.push(element);
        return;
      case "producers":
        if (element.ids > 0) this.#options.lacks("ids of idempotent producers of a stream");
        break;
      default:
    }
  }

  *end(): Iterable<ElementCommand> {
    yield* this.#claim();
    const { key } = this.#options;
    if (this.#state === undefined || this.#before.size + this.#between.size === 0) return;
    if (this.#firstId === undefined) yield ["XTRIM", key, "MAXLEN", 0];
    else if (this.#before.size > 0 && this.#options.limits.createsConsumers)
      yield ["XTRIM", key, "MINID", idText(this.#firstId)];
    else yield* this.#delete(this.#before);
    if (this.#firstId !== undefined) yield* this.#delete(this.#between);
    yield this.#setId(this.#state, 0);
  }

  /** Adds what is pending and not an entry, up to `id`, which is one. */
  *#placeholdersBelow(id: StreamId): Iterable<ElementCommand> {
    for (; this.#nextPlaceholder < this.#placeholders.size; this.#nextPlaceholder++) {
      const next = this.#placeholders.at(this.#nextPlaceholder);
      const order = compareIds(next, id);
      if (order > 0) return;
      if (order < 0) yield this.#addPlaceholder(next);
    }
  }

  #addPlaceholder(id: StreamId): ElementCommand {
    (this.#firstId === undefined ? this.#before : this.#between).add(id);
    return ["XADD", this.#options.key, idText(id), "-", "-"];
  }

  /** All entries have been added. */
  *#begin(state: StreamState): Iterable<ElementCommand> {
    const { key, lacks } = this.#options;
    for (; this.#nextPlaceholder < this.#placeholders.size; this.#nextPlaceholder++) {
      const next = this.#placeholders.at(this.#nextPlaceholder);
      if (compareIds(next, state.lastId) > 0) lacks("pending entries above the last id of a stream");
      else if (compareIds(next, this.#lastId) > 0) yield this.#addPlaceholder(next);
    }
    const placeholders = this.#before.size + this.#between.size;
    if (this.#firstId === undefined && placeholders === 0) {
      yield ["XGROUP", "CREATE", key, PASSING_GROUP, "0-0", "MKSTREAM"];
      yield ["XGROUP", "DESTROY", key, PASSING_GROUP];
    }
    this.#state = state;
    yield this.#setId(state, placeholders);
  }

  /** `extra`: entries that are still to be deleted. */
  #setId({ lastId, length, entriesAdded, maxDeletedId }: StreamState, extra: number): ElementCommand {
    const command = ["XSETID", this.#options.key, idText(lastId)];
    if (!this.#options.limits.countsEntries) return command;
    const least = BigInt(length + extra);
    const added = entriesAdded === undefined || entriesAdded < least ? least : entriesAdded;
    const deleted = extra === 0 && maxDeletedId !== undefined && maxDeletedId.ms + maxDeletedId.seq > 0n;
    return [...command, "ENTRIESADDED", String(added), ...(deleted ? ["MAXDELETEDID", idText(maxDeletedId)] : [])];
  }

  #createGroup({ name, lastId, entriesRead }: StreamGroup): ElementCommand {
    this.#group = name;
    const command = ["XGROUP", "CREATE", this.#options.key, name, idText(lastId)];
    const isKnown = entriesRead !== undefined && this.#options.limits.countsEntries;
    return isKnown ? [...command, "ENTRIESREAD", String(entriesRead)] : command;
  }

  /** Before 6.2 a consumer is made by reading its own history, which is empty. */
  #createConsumer(): ElementCommand {
    const { key, limits } = this.#options;
    if (limits.createsConsumers) return ["XGROUP", "CREATECONSUMER", key, this.#group, this.#consumer];
    return ["XREADGROUP", "GROUP", this.#group, this.#consumer, "COUNT", 1, "STREAMS", key, "0"];
  }

  #isAlike({ deliveredAtMs, deliveries }: PendingEntry): boolean {
    const [first] = this.#claimed;
    return (
      first?.deliveredAtMs === deliveredAtMs &&
      first.deliveries === deliveries &&
      this.#claimed.length < this.#options.maxElements
    );
  }

  *#claim(): Iterable<ElementCommand> {
    const [first] = this.#claimed;
    if (first === undefined) return;
    const ids = this.#claimed.map(({ id }) => idText(id));
    this.#claimed = [];
    const state = ["TIME", first.deliveredAtMs, "RETRYCOUNT", first.deliveries, "FORCE", "JUSTID"];
    yield ["XCLAIM", this.#options.key, this.#group, this.#consumer, 0, ...ids, ...state];
  }

  *#delete(ids: PendingIds): Iterable<ElementCommand> {
    const { key, maxElements } = this.#options;
    for (let from = 0; from < ids.size; from += maxElements) {
      const some = Math.min(maxElements, ids.size - from);
      yield ["XDEL", key, ...Array.from({ length: some }, (_, index) => idText(ids.at(from + index)))];
    }
  }
}
