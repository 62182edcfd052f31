/**
 * The expiry of a destination that carries a grace: `(e - e % 2) + graceMs + 1` for the source's expiry `e` in ms, which is odd,
 * where a true expiry is even. Grows with `e`.
 *
 * @param graceMs an even number of ms, 0 or more
 * @throws RangeError for another one
 */
export function graceExpiry(graceMs: number): (expiryMs: number) => number {
  if (!Number.isSafeInteger(graceMs) || graceMs < 0 || graceMs % 2 !== 0) {
    throw new RangeError(`graceMs is ${graceMs}, expected an even whole number, 0 or more`);
  }
  return (expiryMs) => expiryMs - (expiryMs % 2) + graceMs + 1;
}

/** The rule of a destination without grace: the source's expiry. */
export function sameExpiry(expiryMs: number): number {
  return expiryMs;
}
