import type { z } from "zod";

/** A field that the schema knows and that no service acts on yet. */
export interface UnbuiltField {
  /** `destinations[].keys`: of every destination. */
  readonly field: string;
  /** Whether this value of it asks for something that is not built. An absent field never does. */
  readonly isUnbuilt: (value: unknown) => boolean;
}

/**
 * A pipeline that asks for one of these is refused: a field that is silently ignored would copy, or keep, what it should not.
 * Whoever builds one removes its entry and runs `npm run reference`.
 */
export const NOT_YET: readonly UnbuiltField[] = [];

/** Refuses in a pipeline what is not built, each at its place. */
export function refuseUnbuilt(
  pipeline: unknown,
  context: Pick<z.core.$RefinementCtx, "addIssue">,
  unbuilt: readonly UnbuiltField[] = NOT_YET,
): void {
  for (const { field, isUnbuilt } of unbuilt) {
    for (const { path, value } of valuesAt(pipeline, field)) {
      if (!isUnbuilt(value)) continue;
      context.addIssue({ code: "custom", path, message: "this release can't do that yet: leave it out", input: value });
    }
  }
}

function valuesAt(pipeline: unknown, field: string): { path: PropertyKey[]; value: unknown }[] {
  let found: { path: PropertyKey[]; value: unknown }[] = [{ path: [], value: pipeline }];
  for (const step of field.split(".")) {
    const name = step.replace("[]", "");
    found = found.flatMap(({ path, value }) => {
      const inner = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
      if (inner === undefined) return [];
      if (!step.endsWith("[]")) return [{ path: [...path, name], value: inner }];
      return Array.isArray(inner) ? inner.map((item, index) => ({ path: [...path, name, index], value: item as unknown })) : [];
    });
  }
  return found;
}
