import { createHash } from "node:crypto";

/** A Lua script's cost in memory beside its body. */
const ENTRY_BYTES = 200;
const DIGEST = /^[0-9a-f]{40}$/;

/**
 * The scripts that a source has named by their bodies, by their SHA-1: for sources that replicate scripts as they were called (before 5, and later ones with
 * `lua-replicate-commands no`).
 *
 * Such a source sends EVALSHA once its replicas must have the script: it was in an EVAL or SCRIPT LOAD of the stream, or in the RDB (`lua` fields). A
 * destination may have lost it: a restart, a failover, SCRIPT FLUSH, another node of a cluster. With the body at hand each EVALSHA becomes an EVAL at receipt,
 * and nothing needs to be kept anywhere else.
 *
 * The bound is in bytes, since a body may be of any size; what was used longest ago goes first. Applications that call by digest have few scripts, and
 * those that write arguments into their bodies call each of these once, so what is forgotten is not asked for again.
 */
export class ScriptBodies {
  readonly #mostBytes: number;
  /** In the order of their last use. */
  readonly #bodies = new Map<string, Buffer>();
  #bytes = 0;

  constructor(mostBytes = 32 * 1024 * 1024) {
    this.#mostBytes = mostBytes;
  }

  /** Bytes that it holds, at most what it may. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies the body. One that is larger than all that may be held is not kept. */
  add(body: Uint8Array): void {
    const digest = createHash("sha1").update(body).digest("hex");
    if (this.#touch(digest) !== null) return;
    const cost = body.length + ENTRY_BYTES;
    if (cost > this.#mostBytes) return;
    this.#bodies.set(digest, Buffer.from(body));
    this.#bytes += cost;
    for (const [oldest, { length }] of this.#bodies) {
      if (this.#bytes <= this.#mostBytes) return;
      this.#bodies.delete(oldest);
      this.#bytes -= length + ENTRY_BYTES;
    }
  }

  /** `digest`: in any letter case, as EVALSHA takes it. */
  bodyOf(digest: string): Buffer | null {
    const lower = digest.toLowerCase();
    return DIGEST.test(lower) ? this.#touch(lower) : null;
  }

  #touch(digest: string): Buffer | null {
    const body = this.#bodies.get(digest);
    if (body === undefined) return null;
    this.#bodies.delete(digest);
    this.#bodies.set(digest, body);
    return body;
  }
}
