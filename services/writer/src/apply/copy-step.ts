import type { ValueCommand } from "../snapshot/value-commands.ts";
import type { OwnedCommand, ValueForms } from "../snapshot/value-forms.ts";
import type { Request } from "./request.ts";
import { CommandsFailed, GroupRefused } from "./standalone-destination.ts";

export function addValueCommand(request: Request, { before, pieces, after }: ValueCommand): void {
  if (pieces.length === 0) request.addCommand([...before, ...after]);
  else request.addWithPieces(before, pieces, after);
}

/** Whether a step that failed so is worth another try, see `ValueForms.learns`. `owners`: by the index of a command. */
export function learnsFrom(cause: unknown, owners: readonly (OwnedCommand | undefined)[], forms: ValueForms): boolean {
  const errors = cause instanceof CommandsFailed ? cause.errors : cause instanceof GroupRefused ? [cause] : [];
  const owned = errors.map(({ index }) => owners[index]);
  if (owned.includes(undefined)) return false;
  return forms.learns(owned as readonly OwnedCommand[], (at) => errors[at]?.error ?? "");
}
