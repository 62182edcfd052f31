import { OperatorError } from "../operator-error.ts";
import { codeTable, explanation } from "../view/explanation.ts";
import { codes } from "../codes/codes.generated.ts";

/** `sluice explain`: a code, or the list of all. Needs no service. */
export function explainCode(code: string | undefined, { json = false }: { json?: boolean }): void {
  if (code === undefined) {
    const all = Object.entries(codes).map(([name, meaning]) => ({ code: name, ...meaning }));
    process.stdout.write(json ? `${JSON.stringify({ codes: all })}\n` : `${codeTable()}\n`);
    return;
  }
  const found = explanation(code);
  if (found === null)
    throw new OperatorError(`there is no code ${JSON.stringify(code)}`, "`sluice explain` without one lists them all.");
  const { meaning, remedy } = found;
  process.stdout.write(json ? `${JSON.stringify(found)}\n` : `${found.code}\n${meaning}\n\nWhat to do: ${remedy}\n`);
}
