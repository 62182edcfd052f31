import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { generatedSources, referencePages } from "../tools/reference/pages.ts";
import { settings } from "../tools/reference/settings.ts";

const root = resolve(import.meta.dirname, "..");

describe("the reference", () => {
  test.each(Object.keys(referencePages))("%s is what `npm run reference` writes", (name) => {
    expect(readFileSync(join(root, "docs", "reference", name), "utf8")).toBe(referencePages[name]?.());
  });

  test.each(Object.keys(generatedSources))("%s is what `npm run reference` writes", (path) => {
    expect(readFileSync(join(root, path), "utf8")).toBe(generatedSources[path]?.());
  });

  test("settings that the sources read are those of the page", () => {
    const read = new Set(["libs", "services", "apps"].flatMap((folder) => sources(join(root, folder))).flatMap(settingsIn));
    const whole = (names: readonly string[]): string[] => names.filter((name) => !name.endsWith("_FILE")).toSorted();
    expect(whole(settings.map(({ name }) => name))).toEqual(whole([...read]));
  });
});

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ["node_modules", "dist"].includes(entry.name) ? [] : sources(path);
    return entry.name.endsWith(".ts") && !/\.(test|sample)\.ts$/.test(entry.name) ? [path] : [];
  });
}

/** Names in quotes, as they are read from the environment; `<name>_FILE` is made of its name where both are taken. */
function settingsIn(path: string): string[] {
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/"(SLUICE_(?!PIPELINE)[A-Z_]*[A-Z])"/g)].map(([, name]) => name as string);
}
