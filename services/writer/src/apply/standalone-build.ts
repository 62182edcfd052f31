import { Connection, keySlot, type Endpoint } from "@sluice/redis";
import { keptName, NO_EXPIRY, type Position } from "@sluice/wire";
import type { PartedValue, ValueBuild } from "../lane-destination.ts";
import { ElementBuild } from "../snapshot/element-build.ts";
import type { ValueForms } from "../snapshot/value-forms.ts";
import { Request } from "./request.ts";
import { destinationFault, type StandaloneDestination } from "./standalone-destination.ts";

const SILENCE_LIMIT_MS = 30_000;

export interface StandaloneBuildOptions {
  readonly target: StandaloneDestination;
  readonly forms: ValueForms;
  readonly endpoint: Endpoint;
  /** See `attemptsKey`. */
  readonly attempts: string;
  /** Applies a step of the copy. */
  readonly apply: (request: Request, next: Position) => Promise<number>;
  readonly signal: AbortSignal;
}

/**
 * One value that comes in pieces, on one server: built on a connection of its own, in its key's database, and put in its place by the lane's
 * transaction, together with the mark.
 */
export class StandaloneBuild implements ValueBuild {
  readonly #options: StandaloneBuildOptions;
  readonly #connection: Connection;
  readonly #build: ElementBuild;
  readonly #db: number;
  readonly #key: Buffer;
  readonly #temporary: Buffer;
  readonly #expireAtMs: number;

  private constructor(
    options: StandaloneBuildOptions,
    connection: Connection,
    { rows, row, key, pending }: PartedValue,
    temporary: Buffer,
  ) {
    const { forms, target } = options;
    this.#options = options;
    this.#connection = connection;
    this.#db = rows.dbs[row] as number;
    this.#key = key;
    this.#temporary = temporary;
    this.#expireAtMs = forms.expiryOf(rows, row);
    const entry = { db: this.#db, type: rows.types[row] as number, key, pending };
    this.#build = new ElementBuild(connection, entry, temporary, forms, (cause) => destinationFault(target.name, cause));
  }

  /** The attempt is noted before it leaves anything. */
  static async begin(options: StandaloneBuildOptions, value: PartedValue): Promise<StandaloneBuild> {
    const { target, forms, endpoint, attempts, signal } = options;
    const db = value.rows.dbs[value.row] as number;
    await target.requireDatabase(db);
    const temporary = forms.temporary(keySlot(value.key), forms.nextAttempt());
    let connection: Connection | null = null;
    try {
      connection = await Connection.open(endpoint, { name: "sluice-value", idleTimeoutMs: SILENCE_LIMIT_MS, signal });
      await connection.call(["SADD", attempts, keptName(db, temporary)]);
      await connection.call(["SELECT", db]);
      return new StandaloneBuild(options, connection, value, temporary);
    } catch (cause) {
      connection?.close();
      throw destinationFault(target.name, cause);
    }
  }

  async push(piece: Buffer): Promise<void> {
    await this.#build.push(piece);
  }

  async finish(target: Position): Promise<number> {
    const { questions, judge, temporary } = await this.#build.finish();
    const request = new Request();
    request.select(this.#db);
    if (temporary === null) request.addCommand(["DEL", this.#key]);
    else {
      const isLasting = this.#expireAtMs === NO_EXPIRY;
      request.addCommand(["RENAME", temporary, this.#key]);
      // Behind it, see `valueCommands`.
      request.addCommand(isLasting ? ["PERSIST", this.#key] : ["PEXPIREAT", this.#key, this.#expireAtMs]);
    }
    request.select(0);
    request.addCommand(["SREM", this.#options.attempts, keptName(this.#db, this.#temporary)]);
    const asked = [["SELECT", this.#db], ...questions, ["SELECT", 0]];
    await this.#options.target.confirmWith(asked, (replies) => judge(replies.slice(1, -1)));
    await this.#options.apply(request, target);
    this.close();
    return this.#build.bytes + request.bytes;
  }

  close(): void {
    this.#connection.close();
  }
}
