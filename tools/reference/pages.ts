import { apiPage } from "./api-page.ts";
import { codesPage } from "./codes-page.ts";
import { codesSource } from "./codes-source.ts";
import { commandNamesSource } from "./command-names-source.ts";
import { lifecyclePage } from "./lifecycle-page.ts";
import { metricsPage } from "./metrics-page.ts";
import { pipelinePage } from "./pipeline-page.ts";
import { prechecksPage } from "./prechecks-page.ts";
import { settingsPage } from "./settings-page.ts";

/** Pages of docs/reference that are generated, by file name. */
export const referencePages: Readonly<Record<string, () => string>> = {
  "api.md": apiPage,
  "codes.md": codesPage,
  "lifecycle.md": lifecyclePage,
  "metrics.md": metricsPage,
  "pipeline-file.md": pipelinePage,
  "prechecks.md": prechecksPage,
  "settings.md": settingsPage,
};

/** Sources that are generated, by their path in the tree. */
export const generatedSources: Readonly<Record<string, () => string>> = {
  "apps/cli/src/codes/codes.generated.ts": codesSource,
  "libs/wire/src/command-names.generated.ts": commandNamesSource,
};
