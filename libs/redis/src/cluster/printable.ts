const LONGEST = 120;

/** A piece of a reply that could not be read, quoted, without control characters, at most 120 characters of it. */
export function printable(text: string): string {
  return JSON.stringify(text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);
}
