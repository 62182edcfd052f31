/** A name may differ from what was meant in a third of its letters. */
const SHARE = 3;
/** Longer words are nobody's slip of the finger. */
const MAX_LENGTH = 100;

/** The one of `names` that `word` was most likely meant to be; null when none is near. */
export function closestName(word: string, names: readonly string[]): string | null {
  if (word.length > MAX_LENGTH) return null;
  const written = word.toLowerCase();
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const most = Math.max(1, Math.floor(name.length / SHARE));
    // Lengths that differ by more need not be compared letter by letter.
    if (Math.abs(name.length - written.length) > most) continue;
    const distance = editDistance(written, name.toLowerCase());
    if (distance >= bestDistance || distance > most) continue;
    best = name;
    bestDistance = distance;
  }
  return best;
}

/** Letters to insert, to remove, to change or to swap with the next one (Damerau's distance, each letter touched once). */
function editDistance(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let row = 1; row <= one.length; row++) {
    const next = [row];
    for (let column = 1; column <= other.length; column++) {
      const isEqual = one[row - 1] === other[column - 1];
      const isSwapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      next.push(
        Math.min(
          (last[column] as number) + 1,
          (next[column - 1] as number) + 1,
          (last[column - 1] as number) + (isEqual ? 0 : 1),
          isSwapped ? (beforeLast[column - 2] as number) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    beforeLast = last;
    last = next;
  }
  return last[other.length] as number;
}
