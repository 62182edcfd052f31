import { closestName } from "@sluice/wire";

/** Names of a sample that hints are looked for in, and letters of one of them that may be its begin. */
const MOST_NAMES = 2_000;
const LONGEST_BEGIN = 60;
/** What names of keys are commonly divided by. */
const DIVIDER = /[:/.|_#-]/;

/** Names of a sample as hints look through them, made once for all patterns. */
export interface HintedNames {
  readonly names: readonly string[];
  readonly begins: readonly string[];
}

export function hintedNames(sample: readonly Uint8Array[]): HintedNames {
  const names = sample.slice(0, MOST_NAMES).map((key) => Buffer.from(key).toString("utf8"));
  return { names, begins: [...new Set(names.flatMap((name) => beginsOf(name)))] };
}

/**
 * What may have been meant by a pattern that matches none of these names: the nearest begin of a name, or what KEYS takes in place of a
 * regular expression. Null: nothing comes near.
 */
export function patternHint(pattern: string, sample: HintedNames): string | null {
  if (/^\^|\$$|\.\*|\.\+|\\[dws]|\([^)]*\|[^)]*\)/.test(pattern))
    return "patterns are globs, as KEYS takes them, and no regular expressions: `*` is any text, `?` one byte";
  if (/\{[^}]*,[^}]*\}/.test(pattern)) return "`{a,b}` means these very characters: name two patterns";
  const literal = /^[^*?[\\]+/.exec(pattern)?.[0] ?? "";
  const rest = pattern.slice(literal.length);
  if (rest === "" && sample.names.some((name) => name.startsWith(literal)))
    return `without a \`*\` it is one name alone; did you mean ${JSON.stringify(`${literal}*`)}?`;
  if (literal.length < 2) return null;
  const meant = closestName(
    literal,
    sample.begins.filter((begin) => begin !== literal),
  );
  return meant === null ? null : `did you mean ${JSON.stringify(meant + rest)}?`;
}

/** `order:eu:` → `order:`, `order:eu:` and the name itself. */
function beginsOf(name: string): string[] {
  const begins: string[] = [];
  for (let at = 0; at < Math.min(name.length, LONGEST_BEGIN); at++)
    if (DIVIDER.test(name[at] as string)) begins.push(name.slice(0, at + 1));
  return name.length <= LONGEST_BEGIN ? [...begins, name] : begins;
}
