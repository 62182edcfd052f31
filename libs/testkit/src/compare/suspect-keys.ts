import type { Redis } from "ioredis";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "../workload/command.ts";
import { runPipeline } from "../workload/pipeline.ts";
import { printableKey, type CanonicalKey } from "./canonical.ts";
import type { SideDatabase } from "./deployment-side.ts";
import type { Difference } from "./diff-canonical.ts";
import { diffKey, type DiffRules } from "./diff-value.ts";
import { readKeys } from "./read-value.ts";

const CHUNK_KEYS = 100;
const SETTLE_EVERY_MS = 50;

export interface SuspectLinks {
  readonly expected: SideDatabase;
  readonly actual: SideDatabase;
  readonly source: SideDatabase | undefined;
}

/** Keys of one database that did not agree at first sight, and what becomes of them: see `compareDeployments`. */
export class SuspectKeys {
  readonly #db: number;
  readonly #rules: DiffRules;
  #keys: Buffer[] = [];

  constructor(db: number, rules: DiffRules) {
    this.#db = db;
    this.#rules = rules;
  }

  add(key: Buffer): void {
    this.#keys.push(key);
  }

  /** Reads the keys again, those that wait for the deletion of an expired key until they agree or `settleMs` is over. */
  async settle(links: SuspectLinks, settleMs: number): Promise<Difference[]> {
    const deadlineMs = performance.now() + settleMs;
    const differences: Difference[] = [];
    for (let left = this.#keys; left.length > 0;) {
      const isLast = performance.now() >= deadlineMs;
      const waiting: Buffer[] = [];
      for (let at = 0; at < left.length; at += CHUNK_KEYS) {
        for (const { key, what, mayVanish } of await this.#differing(links, left.slice(at, at + CHUNK_KEYS))) {
          if (mayVanish && !isLast) waiting.push(key);
          else differences.push({ db: this.#db, key: printableKey(key), what });
        }
      }
      left = waiting;
      if (left.length === 0) break;
      if (links.source !== undefined) await touch(links.source, left);
      await sleep(SETTLE_EVERY_MS);
    }
    return differences;
  }

  async #differing(links: SuspectLinks, keys: readonly Buffer[]): Promise<{ key: Buffer; what: string; mayVanish: boolean }[]> {
    const reader = async (client: Redis, part: readonly Buffer[]): Promise<(CanonicalKey | undefined)[]> =>
      readKeys(client, this.#db, part);
    const ours = await links.expected.read(keys, reader);
    const theirs = await links.actual.read(keys, reader);
    return keys.flatMap((key, index) => {
      const what = this.#diff(ours[index], theirs[index]);
      const mayVanish = ours[index] === undefined ? this.#hasPassedAtSource(theirs[index]) : hasPassed(ours[index]);
      return what === undefined ? [] : [{ key, what, mayVanish }];
    });
  }

  #diff(expected: CanonicalKey | undefined, actual: CanonicalKey | undefined): string | undefined {
    if (expected === undefined) return actual === undefined ? undefined : `extra (${actual.type}, expiry ${actual.pexpireat})`;
    return actual === undefined
      ? `missing (${expected.type}, expiry ${expected.pexpireat})`
      : diffKey(expected, actual, this.#rules);
  }

  #hasPassedAtSource(actual: CanonicalKey | undefined): boolean {
    const expiry = actual?.pexpireat ?? null;
    return expiry !== null && expiry <= this.#rules.expiryOf(Date.now());
  }
}

/** True if it has expired since it was read, so that the other side may have been read after its end. */
function hasPassed(expected: CanonicalKey): boolean {
  return expected.pexpireat !== null && expected.pexpireat <= Date.now();
}

/** A primary deletes an expired key when it is looked up, and replicates the DEL. */
async function touch(source: SideDatabase, keys: readonly Buffer[]): Promise<void> {
  for (let at = 0; at < keys.length; at += CHUNK_KEYS) {
    await source.read(keys.slice(at, at + CHUNK_KEYS), async (client, part) =>
      runPipeline(
        client,
        part.map((key): Command => ["EXISTS", key]),
      ),
    );
  }
}
