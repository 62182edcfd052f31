import { ReplyError, slotTag, type Endpoint, type Reply } from "@sluice/redis";
import { keptKey, slotMarkKey, SlotSet, type Position } from "@sluice/wire";
import { highestCopyIn, highestMark, laneMarkKeys } from "../read-marks.ts";
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
  #marks: Promise<string[]> | null = null;
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
    return highestMark(await this.#allMarks());
  }

  /** Highest number of a copy that its marks speak of; 0 without any. */
  async highestCopy(): Promise<number> {
    return highestCopyIn(await this.#allMarks());
  }

  /** Where there are keys that are not Sluice's own; looks at keys only until the first such in each place. */
  async foreign(): Promise<ForeignKeys[]> {
    this.#foreign ??= this.#readForeign();
    return this.#foreign;
  }

  /** With `existing: keep`: a key that should hold names of kept keys, and is not there although its mark is; null where none is missing. */
  async missingNames(): Promise<string | null> {
    const { group } = this.spec;
    const isCluster = await this.isCluster();
    for (const server of await this.primaries()) {
      const slots = isCluster ? [...SlotSet.parse(server.slots)] : [0];
      for (let from = 0; from < slots.length; from += KEYS) {
        const asked = slots.slice(from, from + KEYS).map(async (slot) => {
          const tag = slotTag(slot);
          const [names, mark] = [keptKey(tag, this.#pipeline, group), slotMarkKey(tag, this.#pipeline, group)];
          if (Number(await server.askAnew("EXISTS", names)) > 0) return null;
          return !isCluster || Number(await server.askAnew("EXISTS", mark)) > 0 ? names : null;
        });
        const missing = (await Promise.all(asked)).find((names) => names !== null);
        if (missing !== undefined) return missing;
      }
    }
    return null;
  }

  async #allMarks(): Promise<string[]> {
    this.#marks ??= this.#readMarks();
    return this.#marks;
  }

  async #readMarks(): Promise<string[]> {
    const isCluster = await this.isCluster();
    const primaries = await this.primaries();
    const texts = await Promise.all(primaries.map(async (one) => valuesOf(one, this.#markKeys(one, isCluster), primaries)));
    return texts.flat();
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
export async function valuesOf(
  server: ServerProbe,
  keys: readonly string[],
  primaries: readonly ServerProbe[],
): Promise<string[]> {
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
