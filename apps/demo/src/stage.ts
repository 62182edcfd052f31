import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RedisServer } from "@sluice/testkit";

export const PIPELINE = "demo";

/** The servers of the demo and the folder of everything that it writes. */
export class Stage {
  readonly dir: string;
  readonly source: RedisServer;
  /** A replica of the source, made by Redis itself: what the destination is compared with. */
  readonly oracle: RedisServer;
  readonly destination: RedisServer;

  private constructor(dir: string, source: RedisServer, oracle: RedisServer, destination: RedisServer) {
    this.dir = dir;
    this.source = source;
    this.oracle = oracle;
    this.destination = destination;
  }

  static async build(): Promise<Stage> {
    const dir = await mkdtemp(join(tmpdir(), "sluice-demo-"));
    const source = await RedisServer.start();
    const oracle = await RedisServer.start({ replicaOf: { port: source.port } });
    const destination = await RedisServer.start();
    const stage = new Stage(dir, source, oracle, destination);
    const lines = [
      `name: ${PIPELINE}`,
      "source:",
      `  url: ${source.url}`,
      "destinations:",
      "  - group: main",
      `    url: ${destination.url}`,
      "",
    ];
    await writeFile(stage.pipelineFile, lines.join("\n"));
    return stage;
  }

  get pipelineFile(): string {
    return join(this.dir, "demo.yaml");
  }

  get dataDirectory(): string {
    return join(this.dir, "data");
  }

  /** Ends the servers. The folder stays where `keepsFolder`, for its logs. */
  async clear(keepsFolder: boolean): Promise<void> {
    for (const server of [this.oracle, this.destination, this.source]) await server[Symbol.asyncDispose]();
    if (!keepsFolder) await rm(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }
}
