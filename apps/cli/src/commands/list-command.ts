import { listTable } from "../view/status-table.ts";
import { answer, clientOf, type ApiOptions } from "./asking.ts";

/** `sluice ls`. */
export async function listPipelines(options: ApiOptions): Promise<void> {
  const list = await clientOf(options).list();
  answer(options, list, listTable(list, Date.now()));
}
