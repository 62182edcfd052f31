const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;
const INTEGER = /^(?:0|-?[1-9]\d{0,18})$/;
const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d{1,4}))?$/i;
const INFINITE = /^[+-]?inf(?:inity)?$/i;

/** A signed 64-bit integer; a bigint only where a number would not be exact. */
export type Integer = number | bigint;

/** Reads an integer as strictly as Redis does (util.c `string2ll`); null when it is none or has more than 64 bits. */
export function integerOf(text: string): Integer | null {
  if (!INTEGER.test(text)) return null;
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  const exact = BigInt(text);
  return exact < LEAST || exact > MOST ? null : exact;
}

/** The sum; null where it has more than 64 bits. */
export function sumOf(one: Integer, other: Integer): Integer | null {
  if (typeof one === "number" && typeof other === "number") {
    const sum = one + other;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const exact = BigInt(one) + BigInt(other);
  if (exact < LEAST || exact > MOST) return null;
  const sum = Number(exact);
  return Number.isSafeInteger(sum) ? sum : exact;
}

/** The integer with the other sign; null for the least one. */
export function negated(value: Integer): Integer | null {
  if (typeof value === "number") return value === 0 ? 0 : -value;
  return value === LEAST ? null : -value;
}

/** Reads a double (strtod, without leading space and without hexadecimal numbers); null when it is none or not a number. */
export function doubleOf(text: string): number | null {
  if (INFINITE.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  const found = DECIMAL.exec(text);
  return found === null || (found[2] === "" && found[3] === "") ? null : Number(text);
}

/** `%.17g`, and `inf`, `-inf`: a score in a reply (networking.c, `addReplyDouble`). */
export function doubleText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0";
  if (Number.isInteger(value) && Math.abs(value) < 1e17) return String(value);
  const [mantissa = "", exponent = "0"] = value.toExponential(16).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 17) return trimmed(value.toFixed(16 - power));
  return `${trimmed(mantissa)}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
}

function trimmed(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
