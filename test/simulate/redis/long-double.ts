const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d{1,4}))?$/i;
const INFINITE = /^[+-]?inf(?:inity)?$/i;
const MANTISSA_BITS = 64;
/** Decimals that Redis writes (`%.17Lf`, util.c `ld2string`). */
const PLACES = 17;
const ONE = 10n ** BigInt(PLACES);

/** A number of x86's 80-bit format: `mantissa * 2^power`. Redis adds floats in it, so their digits depend on it. */
export interface LongDouble {
  readonly mantissa: bigint;
  readonly power: number;
}

/** Reads a decimal number; null when the text is none. */
export function longDoubleOf(text: string): LongDouble | "infinite" | null {
  if (INFINITE.test(text)) return "infinite";
  const found = DECIMAL.exec(text);
  if (found === null || (found[2] === "" && found[3] === "")) return null;
  const [, sign, whole = "", part = "", exponent = "0"] = found;
  const tens = Number(exponent) - part.length;
  const digits = BigInt(whole + part) * (sign === "-" ? -1n : 1n);
  if (tens >= 0) return rounded(digits * 10n ** BigInt(tens), 0);
  // So many bits that what the division drops can't be half a bit of the mantissa, but for a remainder that is kept as one more.
  const divisor = 10n ** BigInt(-tens);
  const scale = divisor.toString(2).length + 2 * MANTISSA_BITS;
  const quotient = (digits << BigInt(scale)) / divisor;
  const isExact = quotient * divisor === digits << BigInt(scale);
  return rounded(quotient * 2n + (isExact ? 0n : digits < 0n ? -1n : 1n), -scale - 1);
}

export function sumOfLongDoubles(one: LongDouble, other: LongDouble): LongDouble {
  const power = Math.min(one.power, other.power);
  const aligned = ({ mantissa, power: own }: LongDouble): bigint => mantissa << BigInt(own - power);
  return rounded(aligned(one) + aligned(other), power);
}

/** As `ld2string` writes it: without trailing zeros, never `-0`. */
export function longDoubleText({ mantissa, power }: LongDouble): string {
  const magnitude = (mantissa < 0n ? -mantissa : mantissa) * ONE;
  const scaled = power >= 0 ? magnitude << BigInt(power) : halved(magnitude, -power);
  const part = (scaled % ONE).toString().padStart(PLACES, "0").replace(/0+$/, "");
  const text = `${scaled / ONE}${part === "" ? "" : `.${part}`}`;
  return mantissa < 0n && scaled > 0n ? `-${text}` : text;
}

/** The nearest number with a mantissa of 64 bits, the even one of two. */
function rounded(value: bigint, power: number): LongDouble {
  const magnitude = value < 0n ? -value : value;
  const excess = magnitude.toString(2).length - MANTISSA_BITS;
  if (excess <= 0) return { mantissa: value, power };
  const mantissa = halved(magnitude, excess);
  return { mantissa: value < 0n ? -mantissa : mantissa, power: power + excess };
}

/** `value / 2^times`, rounded to the nearest integer, to the even one of two. */
function halved(value: bigint, times: number): bigint {
  const unit = 1n << BigInt(times);
  const [whole, rest] = [value / unit, value % unit];
  const isUp = rest * 2n > unit || (rest * 2n === unit && whole % 2n === 1n);
  return isUp ? whole + 1n : whole;
}
