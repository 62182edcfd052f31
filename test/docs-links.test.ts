import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const NOT_OURS = new Set(["node_modules", "dist", ".git", ".sluice", ".turbo"]);

function documents(folder = root): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : documents(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** Targets of `[text](target)` that lie in the repository, without their anchors; code blocks and code spans hold no links. */
function linksOf(markdown: string): string[] {
  const prose = markdown.replace(/^(```|~~~)[\s\S]*?^\1/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(<?([^)\s>]+)>?[^)]*\)/g)]
    .map(([, target]) => decodeURI((target as string).replace(/#.*$/, "")))
    .filter((target) => target !== "" && !/^[a-z][a-z+.-]*:/i.test(target));
}

function isThere(document: string, target: string): boolean {
  const path = resolve(dirname(document), target);
  return !target.startsWith("/") && !relative(root, path).startsWith("..") && existsSync(path);
}

describe("the documents", () => {
  test("link only to what is there", () => {
    const broken = documents().flatMap((document) =>
      linksOf(readFileSync(document, "utf8"))
        .filter((target) => !isThere(document, target))
        .map((target) => `${relative(root, document)}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test("are found, and so are their links", () => {
    const found = documents().map((document) => relative(root, document));
    expect(found).toEqual(expect.arrayContaining(["README.md", "ARCHITECTURE.md", "docs/decisions/0001-record-decisions.md"]));
    expect(linksOf(readFileSync(join(root, "ARCHITECTURE.md"), "utf8")).length).toBeGreaterThan(50);
  });
});

describe("the check", () => {
  test("reads relative targets, and nothing of code, anchors or other places", () => {
    const text =
      "[a](a.md) [b](b/c.ts#L3 'title') [d](#d) [e](https://e.example/x.md) `[f](f.md)`\n```\n[g](g.md)\n```\n![h](<h.png>)";
    expect(linksOf(text)).toEqual(["a.md", "b/c.ts", "h.png"]);
  });

  test("refuses what is missing, and what lies outside or is absolute", () => {
    const document = join(root, "docs", "x.md");
    expect(isThere(document, "../package.json")).toBe(true);
    expect(["missing.md", "../..", "/etc/passwd"].filter((target) => isThere(document, target))).toEqual([]);
  });
});
