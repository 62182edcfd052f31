import { OperatorError } from "../operator-error.ts";
import { readPipeline } from "../read-pipeline.ts";
import { filterPreviewText } from "../view/filter-preview-text.ts";
import { answer, clientOf, type ApiOptions } from "./asking.ts";

export interface FilterOptions extends ApiOptions {
  readonly sample?: number;
  readonly key?: readonly string[];
}

/** `sluice filter`: of a file, whose pipeline need not exist. Throws `OperatorError` where the source can't be asked. */
export async function previewFilters(file: string, { sample, key, ...options }: FilterOptions): Promise<void> {
  if (sample !== undefined && key !== undefined)
    throw new OperatorError("--key judges names and looks at no sample, so that --sample means nothing with it", "", 2);
  const { written } = await readPipeline(file, process.env);
  const request = { ...(sample === undefined ? {} : { sample }), ...(key === undefined ? {} : { keys: key }) };
  const preview = await clientOf(options).previewFilters(written, request);
  answer(options, preview, filterPreviewText(preview));
}
