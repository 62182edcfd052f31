import { apiPage } from "./api-page.ts";
import { lifecyclePage } from "./lifecycle-page.ts";
import { metricsPage } from "./metrics-page.ts";
import { pipelinePage } from "./pipeline-page.ts";
import { prechecksPage } from "./prechecks-page.ts";
import { settingsPage } from "./settings-page.ts";

/** Pages of docs/reference that are generated, by file name. */
export const referencePages: Readonly<Record<string, () => string>> = {
  "api.md": apiPage,
  "lifecycle.md": lifecyclePage,
  "metrics.md": metricsPage,
  "pipeline-file.md": pipelinePage,
  "prechecks.md": prechecksPage,
  "settings.md": settingsPage,
};
