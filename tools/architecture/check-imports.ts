import { posix } from "node:path";
import { isShipped, isTestOrSample, type OwnPackage, PackageBook } from "./package-book.ts";
import type { ArchitectureRules } from "./rules.ts";
import type { ModuleReference, SourceModule } from "./source-module.ts";

type Judge = (from: OwnPackage, module: SourceModule, reference: ModuleReference) => string | undefined;

const PACKAGES_ONLY = /^(libs|services|apps)\//;

/** One line per import of a shipped source that the rules do not allow: `file:line: what; what is allowed`. */
export function checkImports(modules: readonly SourceModule[], book: PackageBook, rules: ArchitectureRules): string[] {
  const judges: Judge[] = [
    judgeForm(rules),
    judgeRelative,
    judgeStart(book, rules),
    judgeOwn(book, rules),
    judgeReserved(rules),
  ];
  const faults: string[] = [];
  for (const module of modules) {
    const from = book.holderOf(module.path);
    if (from === undefined && PACKAGES_ONLY.test(module.path))
      faults.push(`${module.path}:1: no package holds it; allowed: a package`);
    if (from === undefined || !isShipped(module.path)) continue;
    for (const reference of module.references) {
      for (const judge of judges) {
        const fault = judge(from, module, reference);
        if (fault !== undefined) faults.push(`${module.path}:${reference.line}: ${fault}`);
      }
    }
  }
  return faults;
}

function judgeForm(rules: ArchitectureRules): Judge {
  return (from, module, { form, target }) => {
    if (form === "createRequire" || form === "require()") return `${form}; allowed: import`;
    if (form === "import.meta.resolve()" && from.name in rules.mayStart) return undefined;
    if (target === null && rules.mayComputeImports.includes(module.path)) return undefined;
    if (target === null) return `${form} of a computed target; allowed: a literal, so that it can be checked`;
    if (/^(file:|\/|#)/.test(target)) return `${form} of ${target}; allowed: a path from ./ or ../, a package, or node:`;
    return undefined;
  };
}

function judgeRelative(from: OwnPackage, module: SourceModule, { form, target }: ModuleReference): string | undefined {
  if (target === null || !target.startsWith(".")) return undefined;
  const path = posix.join(posix.dirname(module.path), target);
  if (form === "import.meta.resolve()") return undefined;
  if (!path.startsWith(`${from.home}/`))
    return `${form} of ${target} leaves ${from.home}; allowed: other packages by their name`;
  if (isTestOrSample(path)) return `${form} of the test ${target}; allowed in shipped sources: shipped sources`;
  return undefined;
}

function judgeStart(book: PackageBook, rules: ArchitectureRules): Judge {
  return (from, _module, { form, target }) => {
    const own = book.ownTarget(target ?? "");
    if (form !== "import.meta.resolve()" || own === undefined) return undefined;
    const allowed = rules.mayStart[from.name] ?? [];
    if (allowed.includes(own.name) && own.rest === "/main") return undefined;
    const programs = allowed.length === 0 ? "no program of ours" : allowed.map((name) => `${name}/main`).join(", ");
    return `${form} of ${target}; allowed: ${from.name} may start ${programs}`;
  };
}

function judgeOwn(book: PackageBook, rules: ArchitectureRules): Judge {
  return (from, _module, { form, target }) => {
    const own = book.ownTarget(target ?? "");
    if (own === undefined || form === "import.meta.resolve()") return undefined;
    const allowed = rules.mayImport[from.name] ?? [];
    const mayImport = `${from.name} may import ${allowed.length === 0 ? "none of our packages" : allowed.join(", ")}`;
    if (!allowed.includes(own.name)) return `${form} of ${own.name}; allowed: ${mayImport}`;
    if (own.rest !== "") return `${form} of ${target}; allowed: ${own.name}, whose index.ts is all that others see`;
    if (from.ownDependencies.includes(own.name)) return undefined;
    return `${form} of ${own.name}, which ${from.home}/package.json does not declare; allowed: what its dependencies name`;
  };
}

function judgeReserved(rules: ArchitectureRules): Judge {
  return (from, _module, { form, target }) => {
    const rule = rules.reserved.find(
      ({ name }) => target === name || target?.startsWith(name.endsWith("/") ? name : `${name}/`),
    );
    if (rule === undefined || rule.only.includes(from.name)) return undefined;
    return `${form} of ${target}; allowed: only in ${rule.only.join(", ")} (${rule.why})`;
  };
}
