import type { Records, Stored } from "@sluice/bus";
import type { Logger } from "@sluice/runtime";
import { recordKey, specRecord, withLastStart, writtenSpec, type SpecRecord } from "@sluice/wire";
import { wished } from "../desk/spec-change.ts";
import type { KnownPipeline } from "./pipeline-book.ts";
import type { StateFacts } from "./state.ts";
import type { StopState } from "./stop-gate.ts";

/**
 * Ends a pipeline with `mode: full` when its copy is applied: it is to stop, as if the operator had asked for it, so that the lanes apply
 * what was stored meanwhile. Expiries in its destinations keep their grace, since it may be started again: a cut-over ends that.
 */
export class CopyOnly {
  readonly #known: KnownPipeline;
  readonly #deps: { readonly records: Records; readonly log: Logger };

  constructor(known: KnownPipeline, deps: { readonly records: Records; readonly log: Logger }) {
    this.#known = known;
    this.#deps = deps;
  }

  /** To be called at every look. Throws `Retryable` BUS-001. */
  async step({ value, revision }: Stored<SpecRecord>, facts: Pick<StateFacts, "shards" | "lanes">): Promise<void> {
    if (value.pipeline.mode !== "full" || value.desired !== "running" || !isCopied(facts)) return;
    const { records, log } = this.#deps;
    const key = recordKey.spec(this.#known.name);
    const current = await records.get(key, writtenSpec);
    if (current?.revision !== revision) return;
    const next = withLastStart({ ...wished(current.value, "stopped"), isCopied: true }, current);
    if ((await records.compareAndSet(key, specRecord, next, revision)) === null) return;
    log.info({ pipeline: this.#known.name }, "the copy is applied; stopping, as that is all it was for");
  }
}

/** Every lane of every shard has gone on from a copy to changes. */
function isCopied({ shards, lanes }: Pick<StateFacts, "shards" | "lanes">): boolean {
  const epochs = new Map(shards.map(({ id, seen }) => [id, seen?.epoch ?? 0]));
  const isShardCopied = shards.every(({ seen, floor }) => seen?.phase === "streaming" && seen.epoch > floor);
  const isLaneCopied = lanes.every(
    ({ label, seen }) => seen?.phase === "live" && seen.epoch === epochs.get(label.split(".")[1] ?? ""),
  );
  return shards.length > 0 && lanes.length > 0 && isShardCopied && isLaneCopied;
}

/** A stop as it is told of a pipeline that ended by itself. */
export function toldStop<T extends Pick<StopState, "isDone" | "reason">>(stop: T, { isCopied: hasEnded }: SpecRecord): T {
  if (hasEnded !== true || !stop.isDone) return stop;
  const reason =
    "copied: the destinations hold what the source held, with the grace on its expiries; `sluice cutover NAME --force` takes that away";
  return { ...stop, reason };
}
