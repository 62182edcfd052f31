import { pass, warn, type Look, type Precheck } from "../precheck.ts";

/** `named`: those that the pipeline copies, null for all; `held`: those with keys. */
function judgeDatabases(held: readonly number[], named: readonly number[] | null): Look {
  const text = held.length === 0 ? "no database holds keys" : `keys in database ${held.join(", ")}`;
  if (named === null) return pass(text);
  const empty = named.filter((db) => !held.includes(db));
  const left = held.filter((db) => !named.includes(db));
  const found = left.length === 0 ? text : `${text}; ${left.join(", ")} will not be copied`;
  return empty.length === 0
    ? pass(found)
    : warn(`${found}; nothing is in database ${empty.join(", ")} that the pipeline names`);
}

export const sourceDatabases: Precheck = {
  id: "source-databases",
  title: "The databases that the pipeline names hold keys",
  why: "A number that was mistyped copies nothing, and nobody notices.",
  expected: "keys in every database of `source.databases`",
  fix: "Set `source.databases` to the numbers that `INFO keyspace` lists, or leave it out to copy all.",
  warns: "a database of `source.databases` is empty",
  fails: null,
  code: "PIP-005",
  run: async ({ source, subject }) => [
    { endpoint: source.name, ...judgeDatabases(await source.databases(), subject.databases) },
  ],
};
