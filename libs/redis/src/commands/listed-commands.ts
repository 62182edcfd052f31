import type { CommandDefinition } from "./command-definition.ts";

/** What commands written down here have beside their names; without it one key, at argument 1. */
interface ListedForm {
  /** First key, last key and step, as in COMMAND. */
  readonly keys?: readonly [firstKey: number, lastKey: number, keyStep: number];
  readonly movableKeys?: boolean;
  readonly noScript?: boolean;
  readonly subcommands?: readonly string[];
}

/** Definitions of write commands of one form, their names in capitals between spaces. */
export function writesOf(names: string, form: ListedForm = {}): CommandDefinition[] {
  const [firstKey, lastKey, keyStep] = form.keys ?? [1, 1, 1];
  const { movableKeys = false, noScript = false, subcommands = [] } = form;
  return names
    .split(" ")
    .map((name) => ({ name, write: true, noScript, firstKey, lastKey, keyStep, movableKeys, subcommands }));
}

/** A write command that names no keys. */
export function keylessWrite(name: string): CommandDefinition {
  return { name, write: true, noScript: false, firstKey: 0, lastKey: 0, keyStep: 0, movableKeys: false, subcommands: [] };
}
