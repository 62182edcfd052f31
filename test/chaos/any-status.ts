import type { PipelineStatus } from "@sluice/wire";
import { StatusClient } from "../e2e/deployment.ts";

/** Asks whichever of several coordinators is the active one. */
export class AnyStatus extends StatusClient {
  readonly #clients: readonly StatusClient[];

  constructor(apis: readonly string[]) {
    super(apis[0] ?? "");
    this.#clients = apis.map((api) => new StatusClient(api));
  }

  override async get(name: string): Promise<PipelineStatus> {
    return this.#first((client) => client.get(name));
  }

  override async create(pipeline: object): Promise<void> {
    return this.#first((client) => client.create(pipeline));
  }

  async #first<T>(ask: (client: StatusClient) => Promise<T>): Promise<T> {
    const refusals: unknown[] = [];
    for (const client of this.#clients) {
      try {
        return await ask(client);
      } catch (error) {
        refusals.push(error);
      }
    }
    throw new Error(`no coordinator answers: ${refusals.map(String).join("; ")}`);
  }
}
