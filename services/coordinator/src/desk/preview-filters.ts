import { randomInt } from "node:crypto";
import { ReplyError } from "@sluice/redis";
import { describeFault } from "@sluice/runtime";
import type { FilterPreview, GroupPreview } from "@sluice/wire";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { ServerFailure } from "../precheck/probe/server-failure.ts";
import { SourceProbe } from "../precheck/probe/source-probe.ts";
import { groupPreview, namePreviews } from "../preview/group-preview.ts";
import { sampleKeys, type KeySample } from "../preview/key-sample.ts";
import { keyOf } from "../preview/shown-key.ts";
import type { DeskDeps } from "./desk-deps.ts";
import { readPostedPipeline } from "./posted-pipeline.ts";
import { Refusal } from "./refusal.ts";

/** What is looked at: about so many keys of the source; or these names, and the source is not asked. */
export interface PreviewRequest {
  readonly sample: number;
  readonly keys?: readonly string[];
}

/**
 * What the filters of a posted pipeline, which need not exist, would do. Nothing is kept, and nothing is changed on any server. Throws
 * `Refusal` 422 PIP-001, SRC-001 or SRC-002 where the source can't be asked; `Halt` where a certificate can't be read.
 */
export async function previewFilters(
  body: unknown,
  { sample: wanted, keys }: PreviewRequest,
  { clock }: Pick<DeskDeps, "clock">,
): Promise<FilterPreview> {
  const { name, source, destinations } = readPostedPipeline(body).pipeline;
  if (keys !== undefined) {
    const names = await namePreviews(
      destinations,
      keys.map((key) => keyOf(key)),
    );
    return { name, sample: null, groups: [], names };
  }
  const copied = source.databases ?? null;
  const ending = new AbortController();
  const isCopied = (db: number): boolean => copied?.includes(db) !== false;
  try {
    const probe = new SourceProbe(
      openEndpoint(source, (password) => password),
      ending.signal,
      clock,
    );
    const seen = await sampleKeys(probe, { wanted, isCopied, clock, random: (below) => randomInt(below) });
    const groups: GroupPreview[] = [];
    for (const destination of destinations) groups.push(await groupPreview(destination, copied, seen.databases));
    return { name, sample: toldSample(seen), groups, names: [] };
  } catch (cause) {
    throw refusedBy(cause);
  } finally {
    ending.abort();
  }
}

function toldSample({ databases, servers, isWhole, isCutShort }: KeySample): NonNullable<FilterPreview["sample"]> {
  const keys = databases.reduce((sum, { sample }) => sum + sample.length, 0);
  return { keys, servers, isWhole, isCutShort };
}

function refusedBy(cause: unknown): unknown {
  const what = `the source can't be asked for its keys: ${describeFault(cause)}`;
  if (cause instanceof ServerFailure) return new Refusal(422, cause.kind === "credentials" ? "SRC-002" : "SRC-001", what);
  if (cause instanceof ReplyError)
    return new Refusal(422, "SRC-002", what, "Let the user run INFO, SELECT and SCAN, or ask for names alone: `--key NAME`.");
  return cause;
}
