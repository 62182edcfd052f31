/**
 * Writes, for the folder of each program that is named, its `dist/bundle.js`: the compiled `dist/main.js` with all that it imports, in one
 * file. See docs/decisions/0024-a-program-is-one-file.md.
 */
import { join } from "node:path";
import { build } from "esbuild";

/** Packages that are no ES modules ask for what an ES module does not have. */
const COMMON = [
  'import { createRequire as requireOf } from "node:module";',
  "const require = requireOf(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;",
].join(" ");

await Promise.all(
  process.argv.slice(2).map((folder) =>
    build({
      entryPoints: [join(folder, "dist/main.js")],
      outfile: join(folder, "dist/bundle.js"),
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      banner: { js: COMMON },
      // Compiled for the machine, and optional.
      external: ["msgpackr-extract"],
      sourcemap: "linked",
      logLevel: "warning",
    }),
  ),
);
