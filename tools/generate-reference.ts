import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { generatedSources, referencePages } from "./reference/pages.ts";

/** Writes the generated pages of docs/reference, and the sources that are generated: `npm run reference`. */
const pages = Object.entries(referencePages).map(([name, page]) => [`docs/reference/${name}`, page] as const);
for (const [path, content] of [...pages, ...Object.entries(generatedSources)]) {
  const target = fileURLToPath(new URL(`../${path}`, import.meta.url));
  await writeFile(target, content());
  console.log(`written: ${target}`);
}
