import { codes } from "../codes/codes.generated.ts";
import { table } from "./table.ts";

/** What a code means and what to do about it; null for one that there is not. Small letters do. */
export function explanation(code: string): { code: string; meaning: string; remedy: string } | null {
  const name = code.toUpperCase();
  const known = Object.hasOwn(codes, name) ? codes[name] : undefined;
  return known === undefined ? null : { code: name, ...known };
}

/** Every code and the first sentence of its meaning. */
export function codeTable(): string {
  return table(Object.entries(codes).map(([code, { meaning }]) => [code, firstSentence(meaning)]));
}

function firstSentence(text: string): string {
  const end = text.indexOf(". ");
  return end < 0 ? text : text.slice(0, end + 1);
}
