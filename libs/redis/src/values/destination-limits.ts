/** A server that commands are made for. */
export interface DestinationServer {
  /** major * 10000 + minor * 100 + patch. */
  readonly version: number;
  readonly isValkey: boolean;
}

/** What servers can do, by version; sources: `since` and `history` of their command descriptions (src/commands/*.json). */
export class DestinationLimits {
  readonly #version: number;
  readonly #isValkey: boolean;

  constructor({ version, isValkey }: DestinationServer) {
    this.#version = version;
    this.#isValkey = isValkey;
  }

  get hasStreams(): boolean {
    return this.#version >= 50_000;
  }

  get hasFieldExpiries(): boolean {
    return this.#version >= (this.#isValkey ? 90_000 : 70_400);
  }

  /** HSET of several fields; before that HMSET, which answers otherwise. */
  get setsManyFields(): boolean {
    return this.#version >= 40_000;
  }

  /** XGROUP CREATECONSUMER; XTRIM MINID. */
  get createsConsumers(): boolean {
    return this.#version >= 60_200;
  }

  /** XSETID with ENTRIESADDED and MAXDELETEDID, XGROUP CREATE with ENTRIESREAD. */
  get countsEntries(): boolean {
    return this.#version >= 70_000;
  }
}
