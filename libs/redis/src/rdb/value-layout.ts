/*
 * The steps of a layout: each is two numbers, which step and its argument. Plain constants, as the walk's inner loop compares them.
 */

/** The value ends. */
export const END = 0;
/** One RDB string in any encoding. */
export const STRING = 1;
/** One length of any 64-bit value. */
export const LENGTH = 2;
/** As many bytes as the argument says. */
export const BYTES = 3;
/** A double as text: a byte n, then n bytes of text; 253, 254 and 255 (not a number, infinities) have none. */
export const TEXT_DOUBLE = 4;
/** A length n, then the steps up to the matching NEXT n times. Argument: numbers from here to behind that NEXT. */
export const REPEAT = 5;
/** The end of a repeated part. Argument: numbers back from here to its first step. */
export const NEXT = 6;
/** What a module wrote: `(code operand)*` up to code 0. */
export const MODULE_FIELDS = 7;

/** How the bytes of a value follow each other, as far as is needed to find its end. Made with the functions below. */
export type ValueLayout = readonly number[];

export const string: ValueLayout = [STRING, 0];
export const length: ValueLayout = [LENGTH, 0];
export const textDouble: ValueLayout = [TEXT_DOUBLE, 0];
export const moduleFields: ValueLayout = [MODULE_FIELDS, 0];

export function bytes(count: number): ValueLayout {
  return [BYTES, count];
}

/** A length n, then all of `parts` n times. */
export function repeat(...parts: readonly ValueLayout[]): ValueLayout {
  const body = parts.flat();
  return [REPEAT, body.length + 4, ...body, NEXT, body.length];
}

/** A whole value. Its repeats may be nested REPEAT_DEPTH deep. */
export function layout(...parts: readonly ValueLayout[]): ValueLayout {
  return [...parts.flat(), END, 0];
}

/** As deep as repeats are nested anywhere: the groups of a stream, their consumers, their pending entries. */
export const REPEAT_DEPTH = 3;
