/** Whether a key matches a pattern of KEYS and SCAN: `*`, `?`, `[a-z]`, `[^a]`, `\` before a character (util.c, `stringmatchlen`). */
export function globMatcher(pattern: string): (key: string) => boolean {
  if (pattern === "*") return () => true;
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    const close = char === "[" ? pattern.indexOf("]", at + 1) : -1;
    if (char === "*") source += ".*";
    else if (char === "?") source += ".";
    else if (char === "\\" && at + 1 < pattern.length) source += escaped(pattern[++at] as string);
    else if (close > at) {
      source += `[${pattern.slice(at + 1, close).replaceAll("\\", "\\\\")}]`;
      at = close;
    } else source += escaped(char);
  }
  const expression = new RegExp(`^${source}$`, "s");
  return (key) => expression.test(key);
}

function escaped(char: string): string {
  return /[\w\s]/.test(char) ? char : `\\${char}`;
}
