import type { Redis } from "ioredis";
import { setTimeout as sleep } from "node:timers/promises";
import { askForMembers, hasFailed, memberUrl } from "../servers/cluster-view.ts";
import { openClient } from "../servers/open-client.ts";
import type { ClusterEndpoint } from "../servers/redis-cluster.ts";
import { waitUntil } from "../servers/wait-until.ts";
import type { Command } from "./command.ts";
import type { Outlet, Unit } from "./outlet.ts";
import { runPipeline, type Reply } from "./pipeline.ts";
import { redirectOf, type Redirect } from "./redirect.ts";

/** How long a unit is tried again before its last answer counts as an error. */
const GIVE_UP_MS = 20_000;
const LATER_MS = 40;
const REFRESH_EVERY_MS = 100;
/** A node that keeps silent for so long is disconnected, which makes the outcome of its commands unknown. */
const SILENCE_MS = 10_000;

interface Job {
  readonly slot: number;
  readonly commands: readonly Command[];
  readonly replies: Reply[];
  /** Places of the commands that are still to be executed. */
  pending: number[];
  /** The node to ask once, after ASKING. */
  askUrl: string | undefined;
  notBeforeMs: number;
  readonly giveUpMs: number;
  readonly finish: () => void;
}

/**
 * Sends units to the owners of their slots over one pipelined connection to each node, and follows the cluster through
 * migrations and failovers.
 *
 * Only one unit of a slot is on its way at a time; the next one waits for its replies. So whatever a node answers, the units of
 * a slot, and thereby of a key, are executed in order: were more of them under way, one could be turned away (CLUSTERDOWN,
 * TRYAGAIN) and the next one executed. Units of different slots share pipelines, which keeps this cheap.
 *
 * A command is sent again only if the answer says that it was not executed: MOVED, ASK, TRYAGAIN, CLUSTERDOWN, LOADING, or the
 * client had no connection to send it on. Of a transaction such an answer to any of its commands, or to EXEC, means that EXEC
 * did nothing, so all of it is sent again. A reply that is lost with its connection is passed on as it is.
 */
export class ClusterOutlet implements Outlet {
  #redirects = 0;
  readonly #links = new Map<string, Redis>();
  readonly #queues = new Map<number, Job[]>();
  readonly #waiting = new Set<number>();
  /** The URL of each slot's owner. */
  readonly #owners = new Map<number, string>();
  readonly #directPorts: ReadonlyMap<number, number> | undefined;
  #members: string[];
  #isRefreshing = false;
  #flushTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(urls: readonly string[], directPorts: ReadonlyMap<number, number> | undefined) {
    this.#directPorts = directPorts;
    this.#members = [...urls];
  }

  /** @throws Error when no node answers or one that owns slots can't be connected to */
  static async open(endpoint: ClusterEndpoint): Promise<ClusterOutlet> {
    const outlet = new ClusterOutlet([...new Set([endpoint.url, ...(endpoint.urls ?? [])])], endpoint.directPorts);
    await outlet.#readOwners();
    if (outlet.#owners.size === 0) throw new Error(`the cluster of ${endpoint.url} has no slots`);
    const links = [...new Set(outlet.#owners.values())].map((url) => outlet.#link(url));
    await waitUntil("the nodes of the cluster are connected", () => links.every(({ status }) => status === "ready"));
    return outlet;
  }

  get redirects(): number {
    return this.#redirects;
  }

  async send<T extends Unit>(units: readonly T[], onReplies: (unit: T, replies: readonly Reply[]) => void): Promise<void> {
    const giveUpMs = performance.now() + GIVE_UP_MS;
    const answered = units.map(
      (unit) =>
        new Promise<void>((resolve) => {
          const { slot, commands } = unit;
          if (slot === undefined) throw new Error(`a unit for a cluster has no slot: ${commands[0]?.[0]}`);
          const replies: Reply[] = [];
          const finish = (): void => {
            onReplies(unit, replies);
            resolve();
          };
          const pending = [...commands.keys()];
          this.#enqueue({ slot, commands, replies, pending, askUrl: undefined, notBeforeMs: 0, giveUpMs, finish });
        }),
    );
    this.#flush();
    await Promise.all(answered);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#flushTimer);
    for (const link of this.#links.values()) link.disconnect();
  }

  #enqueue(job: Job): void {
    const queue = this.#queues.get(job.slot);
    if (queue !== undefined) {
      queue.push(job);
      return;
    }
    this.#queues.set(job.slot, [job]);
    this.#waiting.add(job.slot);
  }

  /** Sends the first unit of every slot that has none under way, in one pipeline to each node. */
  #flush(): void {
    const nowMs = performance.now();
    const batches = new Map<string, Job[]>();
    for (const slot of this.#waiting) {
      const job = this.#queues.get(slot)?.[0];
      if (job === undefined || job.notBeforeMs > nowMs) continue;
      this.#waiting.delete(slot);
      const url = job.askUrl ?? this.#owners.get(slot) ?? this.#members[0] ?? "";
      const batch = batches.get(url);
      if (batch === undefined) batches.set(url, [job]);
      else batch.push(job);
    }
    for (const [url, jobs] of batches) void this.#sendBatch(url, jobs);
    if (this.#waiting.size > 0 && !this.#isClosed) {
      this.#flushTimer ??= setTimeout(() => {
        this.#flushTimer = undefined;
        this.#flush();
      }, LATER_MS);
    }
  }

  async #sendBatch(url: string, jobs: readonly Job[]): Promise<void> {
    const requests = jobs.map(requestOf);
    const replies = await runPipeline(this.#link(url), requests.flat());
    let position = 0;
    for (const [place, job] of jobs.entries()) {
      const own = replies.slice(position, (position += requests[place]?.length ?? 0));
      this.#take(job, url, job.askUrl === undefined ? own : withoutAsking(job, own));
    }
    this.#flush();
  }

  /** Takes the replies to the pending commands of a unit; it leaves its queue unless something is to be sent again. */
  #take(job: Job, url: string, replies: readonly Reply[]): void {
    const sent = job.pending;
    for (const [index, place] of sent.entries()) job.replies[place] = replies[index] ?? null;
    const redirects = replies.map(redirectOf);
    const [first] = redirects.filter((redirect) => redirect !== undefined);
    if (first !== undefined && performance.now() < job.giveUpMs && !this.#isClosed) {
      if (!isTransaction(job)) job.pending = sent.filter((_, index) => redirects[index] !== undefined);
      this.#redirect(job, url, first);
      this.#waiting.add(job.slot);
      return;
    }
    const queue = this.#queues.get(job.slot);
    queue?.shift();
    if (queue === undefined || queue.length === 0) this.#queues.delete(job.slot);
    else this.#waiting.add(job.slot);
    job.finish();
  }

  #redirect(job: Job, url: string, redirect: Redirect): void {
    this.#redirects++;
    job.askUrl = undefined;
    if (redirect.kind === "later") {
      job.notBeforeMs = performance.now() + LATER_MS;
    } else {
      const target = new URL(url);
      if (redirect.host !== "") target.hostname = redirect.host;
      target.port = String(this.#directPorts?.get(redirect.port) ?? redirect.port);
      if (redirect.kind === "ask") job.askUrl = target.toString();
      else this.#owners.set(job.slot, target.toString());
    }
    if (redirect.kind !== "ask" && !this.#isRefreshing) void this.#refresh();
  }

  async #refresh(): Promise<void> {
    this.#isRefreshing = true;
    try {
      await this.#readOwners();
    } catch {
      // no node answers: the commands that wait for one ask again
    }
    await sleep(REFRESH_EVERY_MS, undefined, { ref: false });
    this.#isRefreshing = false;
  }

  /** Asks another node each time, since one that was cut off has an old view. */
  async #readOwners(): Promise<void> {
    const { askedUrl, view } = await askForMembers(this.#members, this.#directPorts);
    const living = view.filter((member) => !hasFailed(member));
    const urls = living.map((member) => memberUrl(askedUrl, member));
    if (urls.length > 0) this.#members = [...urls.slice(1), ...urls.slice(0, 1)];
    for (const [place, { ranges }] of living.entries()) {
      const url = urls[place] ?? "";
      for (const [first, last] of ranges) for (let slot = first; slot <= last; slot++) this.#owners.set(slot, url);
    }
  }

  #link(url: string): Redis {
    const known = this.#links.get(url);
    if (known !== undefined) return known;
    const client = openClient(url, 0, { enableOfflineQueue: false, maxRetriesPerRequest: 0, socketTimeout: SILENCE_MS });
    this.#links.set(url, client);
    return client;
  }
}

function isTransaction(job: Job): boolean {
  return job.commands[0]?.[0] === "MULTI";
}

/** ASKING is good for one command, or for a transaction if it precedes MULTI (networking.c, resetClient). */
function requestOf(job: Job): Command[] {
  const commands = job.pending.flatMap((place) => job.commands.slice(place, place + 1));
  if (job.askUrl === undefined) return commands;
  return isTransaction(job) ? [["ASKING"], ...commands] : commands.flatMap((command) => [["ASKING"], command]);
}

function withoutAsking(job: Job, replies: readonly Reply[]): Reply[] {
  return isTransaction(job) ? replies.slice(1) : replies.filter((_, index) => index % 2 === 1);
}
