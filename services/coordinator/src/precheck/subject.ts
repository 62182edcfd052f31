import type { Endpoint } from "@sluice/redis";
import type { DestinationSpec, EndpointSpec, Pipeline } from "@sluice/wire";

/** A destination of the pipeline that is checked, ready to connect. */
export interface SubjectDestination {
  readonly group: string;
  readonly endpoint: Endpoint;
  readonly existing: DestinationSpec["existing"];
  /** What becomes of what it can't hold. */
  readonly unsupported: DestinationSpec["unsupported"];
  /** Numbers that databases of the source get there; all others keep theirs. */
  readonly databases: Readonly<Record<string, number>>;
  /** Only some keys go there. */
  readonly isFiltered: boolean;
  /** Names of commands that do not go there, as the schema of a pipeline gives them. */
  readonly excluded: readonly string[];
}

/** A pipeline that exists beside the one that is checked, for what they do to each other. */
export interface OtherPipeline {
  readonly name: string;
  readonly source: Endpoint;
  readonly destinations: readonly { readonly group: string; readonly endpoint: Endpoint }[];
}

/** What a pipeline says of how fast a full copy is read. */
export interface CopyLimits {
  /** Null: as fast as the source sends. */
  readonly bytesPerSecond: number | null;
  /** `limits.sourceLatency` is set. */
  readonly isBraked: boolean;
}

/** What is checked: a pipeline with its servers ready to connect. */
export interface PrecheckSubject {
  readonly name: string;
  readonly mode: Pipeline["mode"];
  /** Lanes that the slot space may be cut into. */
  readonly lanes: number;
  readonly source: Endpoint;
  readonly read: Pipeline["source"]["read"];
  /** Where the source has renamed the commands of replication. */
  readonly commands?: Pipeline["source"]["commands"];
  /** Databases that are copied; null: all that hold keys. */
  readonly databases: readonly number[] | null;
  readonly destinations: readonly SubjectDestination[];
  /** How long the source may be away, in ms. */
  readonly retryWindowMs: number;
  readonly keepAppliedMs: number;
  /** Most that its stream may hold; null without a limit of its own. */
  readonly streamBytes: number | null;
  /** How fast a copy may be read, and whether it is slowed down while the source is slow. */
  readonly copyLimits: CopyLimits;
  /** All others that the coordinator knows. */
  readonly others: readonly OtherPipeline[];
  /** Groups that a pipeline of this name has, or has had: their marks may stand in a destination. */
  readonly knownGroups: readonly string[];
}

/** The subject of a pipeline; `open` makes a server of it ready to connect, and throws what that throws. */
export function precheckSubject(
  pipeline: Pipeline,
  open: (spec: EndpointSpec) => Endpoint,
  others: readonly OtherPipeline[] = [],
  knownGroups: readonly string[] = [],
): PrecheckSubject {
  const { name, mode, lanes, source, destinations, retryWindow, keepApplied, limits } = pipeline;
  return {
    name,
    mode,
    lanes,
    source: open(source),
    read: source.read,
    commands: source.commands,
    databases: source.databases ?? null,
    destinations: destinations.map((spec) => ({
      group: spec.group,
      endpoint: open(spec),
      existing: spec.existing,
      unsupported: spec.unsupported,
      databases: spec.databases ?? {},
      isFiltered: spec.keys.include.length + spec.keys.exclude.length > 0,
      excluded: spec.commands.exclude,
    })),
    retryWindowMs: retryWindow.source,
    keepAppliedMs: keepApplied,
    streamBytes: limits.streamBytes ?? null,
    copyLimits: { bytesPerSecond: limits.copyBytesPerSecond ?? null, isBraked: limits.sourceLatency !== undefined },
    others,
    knownGroups: [...new Set([...knownGroups, ...destinations.map(({ group }) => group)])],
  };
}

/** Whether anything of the source is copied, see `mode`. */
export function isCopied({ mode }: Pick<PrecheckSubject, "mode">): boolean {
  return mode !== "changes";
}
