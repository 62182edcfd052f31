const LONGEST = 120;
const BACKSLASH = 92;

/** The name of a key for people: what is no printable UTF-8 as `\xNN`, a backslash doubled, and a long one cut off. */
export function shownKey(key: Uint8Array): string {
  const cut = key.length > LONGEST;
  const text = textOf(cut ? key.subarray(0, LONGEST) : key);
  return cut ? `${text}… (${key.length} bytes)` : text;
}

/** The bytes of a name as `shownKey` shows it, or as it is: `\xNN` stands for a byte, `\\` for a backslash; any other backslash for itself. */
export function keyOf(text: string): Buffer {
  const parts = text.split(/(\\x[0-9a-fA-F]{2}|\\\\)/);
  return Buffer.concat(
    parts.map((part, index) => {
      if (index % 2 === 0) return Buffer.from(part);
      return Buffer.from([part === "\\\\" ? BACKSLASH : Number.parseInt(part.slice(2), 16)]);
    }),
  );
}

function textOf(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const length = printableLength(bytes, at);
    text += length === 0 ? `\\x${(bytes[at] as number).toString(16).padStart(2, "0")}` : characterAt(bytes, at, length);
    at += Math.max(1, length);
  }
  return text;
}

function characterAt(bytes: Uint8Array, at: number, length: number): string {
  const character = Buffer.from(bytes.subarray(at, at + length)).toString("utf8");
  return character === "\\" ? "\\\\" : character;
}

/** Bytes of the printable character that begins there; 0: none does. */
function printableLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return first >= 0x20 && first !== 0x7f ? 1 : 0;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  // What is cut off is none.
  const character = Buffer.from(bytes.subarray(at, at + length)).toString("utf8");
  // Controls, and what turns the direction of a line or shows as nothing (Unicode categories C and Z), steer a terminal or mislead.
  return character.includes("\ufffd") || /[\p{C}\p{Z}]/u.test(character) ? 0 : length;
}
