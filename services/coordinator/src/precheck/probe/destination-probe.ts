import { ReplyError, slotTag, type Endpoint, type Reply } from "@sluice/redis";
import { slotMarkKey, SlotSet, type Position } from "@sluice/wire";
import { highestMark, laneMarkKeys } from "../read-marks.ts";
import type { SubjectDestination } from "../subject.ts";
import { DeploymentProbe } from "./deployment-probe.ts";
import { firstForeignKeys, type ForeignKeys } from "./foreign-keys.ts";
import type { ServerProbe } from "./server-probe.ts";

/** Keys asked for in one go. */
const KEYS = 512;

/** A destination of the pipeline: what it is, and what it holds already. */
export class DestinationProbe extends DeploymentProbe {
  readonly spec: SubjectDestination;
  readonly #pipeline: string;
  readonly #lanes: number;
  #mark: Promise<Position | string | null> | null = null;
  #foreign: Promise<ForeignKeys[]> | null = null;

  constructor(pipeline: { readonly name: string; readonly lanes: number }, spec: SubjectDestination, signal: AbortSignal) {
    const endpoint: Endpoint = spec.endpoint;
    super(`destination ${spec.group}`, endpoint, signal);
    this.spec = spec;
    this.#pipeline = pipeline.name;
    this.#lanes = pipeline.lanes;
  }

  /** This pipeline's mark of the highest epoch there; a string says what is wrong with one; null where there is none. */
  async mark(): Promise<Position | string | null> {
    this.#mark ??= this.#readMarks();
    return this.#mark;
  }

  /** Where there are keys that are not Sluice's own; looks at keys only until the first such in each place. */
  async foreign(): Promise<ForeignKeys[]> {
    this.#foreign ??= this.#readForeign();
    return this.#foreign;
  }

  async #readMarks(): Promise<Position | string | null> {
    const isCluster = await this.isCluster();
    const primaries = await this.primaries();
    const texts = await Promise.all(primaries.map(async (one) => valuesOf(one, this.#markKeys(one, isCluster), primaries)));
    return highestMark(texts.flat());
  }

  #markKeys(server: ServerProbe, isCluster: boolean): string[] {
    const { group } = this.spec;
    if (!isCluster) return laneMarkKeys({ name: this.#pipeline, group, lanes: this.#lanes });
    return [...SlotSet.parse(server.slots)].map((slot) => slotMarkKey(slotTag(slot), this.#pipeline, group));
  }

  async #readForeign(): Promise<ForeignKeys[]> {
    const isCluster = await this.isCluster();
    const servers = await this.primaries();
    const found = await Promise.all(
      servers.map(async (server) => firstForeignKeys(server, (db) => (isCluster ? `on ${server.name}` : `in database ${db}`))),
    );
    return found.flat();
  }
}

/** The values of those keys that there are. Rejects when a slot of theirs has just gone to another server. */
async function valuesOf(server: ServerProbe, keys: readonly string[], primaries: readonly ServerProbe[]): Promise<string[]> {
  const found: string[] = [];
  for (let from = 0; from < keys.length; from += KEYS) {
    const replies = await Promise.all(keys.slice(from, from + KEYS).map(async (key) => valueOf(server, key, primaries)));
    for (const reply of replies) if (Buffer.isBuffer(reply)) found.push(reply.toString("latin1"));
  }
  return found;
}

/** A key of a slot that is on its way may have gone ahead: its owner says where to (cluster specification, "ASK redirection"). */
async function valueOf(server: ServerProbe, key: string, primaries: readonly ServerProbe[]): Promise<Reply> {
  try {
    return await server.askAnew("GET", key);
  } catch (cause) {
    const target = cause instanceof ReplyError && cause.code === "ASK" ? cause.message.split(" ")[2] : undefined;
    const next = primaries.find(({ name }) => name === target);
    if (next === undefined) throw cause;
    return next.alone(async (connection) => {
      await connection.call(["ASKING"]);
      return connection.call(["GET", key]);
    });
  }
}
