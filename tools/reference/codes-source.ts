import { codes } from "@sluice/runtime";

/** The catalogue of codes for `sluice explain`, which works without any service: a program of the API alone can't import it. */
export function codesSource(): string {
  const entries = Object.entries(codes).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const lines = entries.map(
    ([code, { meaning, remedy }]) =>
      `  ${JSON.stringify(code)}: {\n    meaning: ${JSON.stringify(meaning)},\n    remedy: ${JSON.stringify(remedy)},\n  },`,
  );
  return [
    "// Written by `npm run reference` from libs/runtime/src/codes.ts.",
    "/** Every code that Sluice prints, as `sluice explain` says it. */",
    "export const codes: Readonly<Record<string, { readonly meaning: string; readonly remedy: string }>> = {",
    ...lines,
    "};",
    "",
  ].join("\n");
}
