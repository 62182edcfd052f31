import type { BusFacts } from "@sluice/bus";
import type { Endpoint } from "@sluice/redis";
import { silentLog, systemClock, type Clock } from "@sluice/runtime";
import { RedisServer } from "@sluice/testkit";
import { formatMark, type PrecheckRequest, type PrecheckResult } from "@sluice/wire";
import { runPrechecks, type Prechecked } from "./run-prechecks.ts";
import type { PrecheckSubject, SubjectDestination } from "./subject.ts";

/** Where a case differs from a pair of servers that every check passes. */
export interface PairChange {
  readonly subject?: Partial<PrecheckSubject>;
  readonly destination?: Partial<SubjectDestination>;
  readonly clock?: Clock;
  readonly bus?: () => Promise<BusFacts>;
}

/** What makes a check warn or fail, what it then says, and how it is undone. */
export interface PairCase {
  readonly id: string;
  readonly make: () => Promise<unknown>;
  readonly undo?: () => Promise<unknown>;
  readonly change?: () => PairChange;
  readonly level: "warn" | "fail";
  readonly code?: string;
  readonly found: RegExp;
  readonly fix: RegExp;
}

const goodBus: BusFacts = {
  serverVersion: "2.12.3",
  cluster: "c",
  knownServers: 3,
  replicas: 3,
  maxPayloadBytes: 2 ** 20,
  jetStream: {
    storedBytes: 0,
    storageLimitBytes: null,
    streamLimitBytes: null,
    streams: 1,
    streamCountLimit: null,
    pipelineBytes: 0,
  },
  jetStreamFailure: null,
  refusedSubjects: [],
};

/** Two servers of which every check passes as they are. */
export class CheckedPair implements AsyncDisposable {
  readonly source: RedisServer;
  readonly destination: RedisServer;

  private constructor(source: RedisServer, destination: RedisServer) {
    this.source = source;
    this.destination = destination;
  }

  static async start(): Promise<CheckedPair> {
    const [source, destination] = await Promise.all([
      RedisServer.start(),
      RedisServer.start({ config: { databases: "4", appendonly: "yes" } }),
    ]);
    return new CheckedPair(source, destination);
  }

  async check(
    request: PrecheckRequest,
    { subject, destination, clock = systemClock, bus }: PairChange = {},
  ): Promise<Prechecked> {
    const own = {
      group: "main",
      endpoint: at(this.destination),
      existing: "refuse",
      unsupported: "halt",
      databases: {},
      isFiltered: false,
      excluded: [],
    } as const;
    const checked: PrecheckSubject = {
      name: "p",
      mode: "full+changes",
      lanes: 16,
      source: at(this.source),
      read: "primary",
      databases: null,
      destinations: [{ ...own, ...destination }],
      retryWindowMs: 43_200_000,
      keepAppliedMs: 600_000,
      streamBytes: null,
      copyLimits: { bytesPerSecond: null, isBraked: false },
      others: [],
      knownGroups: [],
      ...subject,
    };
    return runPrechecks(checked, request, { clock, log: silentLog(), bus: bus ?? (async () => Promise.resolve(goodBus)) });
  }

  /** Makes the case, and returns what the check says of it; undoes it in any event. */
  async resultOf({ id, make, undo, change }: PairCase): Promise<PrecheckResult> {
    await make();
    try {
      const { report } = await this.check({ only: [id] }, change?.());
      const result = report.results.find((one) => one.id === id);
      if (result === undefined) throw new Error(`no result of ${id}: ${JSON.stringify(report.results)}`);
      return result;
    } finally {
      await undo?.();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source[Symbol.asyncDispose]();
    await this.destination[Symbol.asyncDispose]();
  }
}

export function at({ port }: { readonly port: number }, change: Partial<Endpoint> = {}): Endpoint {
  return { host: "127.0.0.1", port, ...change };
}

export async function config(server: RedisServer, ...settings: string[]): Promise<unknown> {
  return server.client().call("CONFIG", "SET", ...settings);
}

/** A user with these rules, and how it connects. */
export async function allowUser(server: RedisServer, ...rules: string[]): Promise<unknown> {
  return server.client().call("ACL", "SETUSER", "sluice", "reset", "on", ">secret", ...rules);
}

export const asUser = { user: "sluice", password: "secret" };

export const mark = formatMark({ epoch: 41, copy: 1, phase: "live", shard: "s0", offset: 5, sequence: 6 });
