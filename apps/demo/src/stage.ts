import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Oracle, serversOf, startSide, type Layout, type Side } from "./layout.ts";

export const PIPELINE = "demo";
const CLUSTER_LANES = 16;

/** The servers of the demo and the folder of everything that it writes. */
export class Stage {
  readonly dir: string;
  readonly layout: Layout;
  readonly source: Side;
  readonly destination: Side;
  readonly oracle: Oracle;

  private constructor(dir: string, layout: Layout, source: Side, destination: Side, oracle: Oracle) {
    this.dir = dir;
    this.layout = layout;
    this.source = source;
    this.destination = destination;
    this.oracle = oracle;
  }

  static async build(layout: Layout): Promise<Stage> {
    const dir = await mkdtemp(join(tmpdir(), "sluice-demo-"));
    const [source, destination] = await Promise.all([startSide(layout, "source"), startSide(layout, "destination")]);
    const stage = new Stage(dir, layout, source, destination, await Oracle.start(source));
    const lines = [
      `name: ${PIPELINE}`,
      `lanes: ${stage.lanes}`,
      "source:",
      `  url: ${source.deployment.url}`,
      "destinations:",
      "  - group: main",
      `    url: ${destination.deployment.url}`,
      "",
    ];
    await writeFile(stage.pipelineFile, lines.join("\n"));
    return stage;
  }

  /** Lanes over the whole slot space. */
  get lanes(): number {
    return this.layout === "cluster" ? CLUSTER_LANES : 1;
  }

  get pipelineFile(): string {
    return join(this.dir, "demo.yaml");
  }

  get dataDirectory(): string {
    return join(this.dir, "data");
  }

  /** Which servers there are, in lines for people. */
  describe(): string[] {
    const ports = (side: Side): string =>
      serversOf(side)
        .map(({ port }) => port)
        .join(" ");
    const replicas = this.oracle.servers.map(({ port }) => port).join(" ");
    if (this.layout === "standalone") {
      const [source, destination] = [ports(this.source), ports(this.destination)];
      return [`source ${source}, its replica ${replicas}, destination ${destination} (redis-server)`];
    }
    const cut = (side: Side): string =>
      serversOf(side)
        .map(({ port }, place) => `${port} ${side.slots[place]}`)
        .join("  |  ");
    return [
      `source, a cluster:       ${cut(this.source)}`,
      `destination, a cluster:  ${cut(this.destination)}`,
      `replicas of the source:  ${replicas} (redis-server)`,
    ];
  }

  /** Ends the servers. The folder stays where `keepsFolder`, for its logs. */
  async clear(keepsFolder: boolean): Promise<void> {
    for (const one of [this.oracle, this.destination.deployment, this.source.deployment]) await one[Symbol.asyncDispose]();
    if (!keepsFolder) await rm(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }
}
