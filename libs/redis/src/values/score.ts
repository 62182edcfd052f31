import { RdbError } from "../rdb/rdb-error.ts";

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const INFINITE = /^([+-]?)inf(?:inity)?$/i;

/** A score as a command takes it: the shortest decimal that reads as the same double, `inf`, `-inf`, `-0`. */
export function scoreText(score: number): string {
  if (Object.is(score, -0)) return "-0";
  if (Number.isFinite(score)) return String(score);
  return score > 0 ? "inf" : "-inf";
}

/** The score that a server wrote as text (17 significant digits, `inf`, `-inf`). @throws RdbError: not a number. */
export function scoreOfText(text: Buffer, offset: number): number {
  const shown = text.toString("latin1", 0, 64);
  const infinite = INFINITE.exec(shown);
  if (infinite !== null) return infinite[1] === "-" ? -Infinity : Infinity;
  if (text.length > 64 || !NUMBER.test(shown)) throw new RdbError(`a score of ${JSON.stringify(shown)} is no number`, offset);
  return Number(shown);
}

/** Refuses what no sorted set can hold. */
export function knownScore(score: number, offset: number): number {
  if (Number.isNaN(score)) throw new RdbError("a score is not a number", offset);
  return score;
}
