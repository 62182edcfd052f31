import type { Endpoint } from "@sluice/redis";
import { describeFault, Halt, openSecret, Retryable } from "@sluice/runtime";
import {
  pipelineSchema,
  recordKey,
  writtenSpec,
  type EndpointSpec,
  type Pipeline,
  type PrecheckReport,
  type PrecheckRequest,
} from "@sluice/wire";
import { openEndpoint } from "../endpoint/open-endpoint.ts";
import { runPrechecks } from "../precheck/run-prechecks.ts";
import { precheckSubject, type OtherPipeline } from "../precheck/subject.ts";
import type { DeskDeps } from "./desk-deps.ts";

/** More pipelines are not looked at for what they do to each other. */
const MOST_OTHERS = 200;

export interface Checked {
  readonly report: PrecheckReport;
  /** No new epoch may be one that a destination has already seen: the records may be younger than its marks (H6). */
  readonly highestEpoch: number;
  /** Of the copies that the marks speak of, of whichever epoch. */
  readonly highestCopy: number;
}

export interface CheckOptions {
  /** Its passwords are as they stand in its record. */
  readonly isSealed: boolean;
}

export type CheckDeps = Pick<DeskDeps, "records" | "busFacts" | "secretKey" | "clock" | "log">;

/** Runs the prechecks of a pipeline: a few seconds. What a server does is a result; throws `Refusal` 422 API-001, `Retryable` BUS-001. */
export async function checkPipeline(
  pipeline: Pipeline,
  request: PrecheckRequest,
  { isSealed }: CheckOptions,
  deps: CheckDeps,
): Promise<Checked> {
  const { clock, log, secretKey, busFacts } = deps;
  const open = opener(secretKey);
  try {
    const subject = precheckSubject(
      pipeline,
      (spec) => (isSealed ? open(spec) : openEndpoint(spec, (password) => password)),
      await otherPipelines(pipeline.name, deps),
      await knownGroups(pipeline.name, deps),
    );
    const { report, facts } = await runPrechecks(subject, request, { clock, log, bus: () => busFacts(pipeline.name) });
    return { report, ...facts };
  } catch (cause) {
    // A password that can't be opened, a certificate that can't be read: nothing could be asked.
    if (!(cause instanceof Halt)) throw cause;
    return { report: refusedBy(cause, clock.nowMs()), highestEpoch: 0, highestCopy: 0 };
  }
}

function opener(secretKey: Buffer | null): (spec: EndpointSpec) => Endpoint {
  return (spec) => openEndpoint(spec, (sealed) => openSecret(sealed, secretKey));
}

/** Groups that the pipeline of this name has, or has had; none where there is none. */
async function knownGroups(name: string, { records }: CheckDeps): Promise<string[]> {
  const spec = await records.get(recordKey.spec(name), writtenSpec);
  if (spec === null) return [];
  const { destinations } = pipelineSchema.parse(spec.value.pipeline);
  return [...(spec.value.formerGroups ?? []), ...destinations.map(({ group }) => group)];
}

/** One whose record can't be read, or used, is its own trouble, and keeps no other from being checked. */
async function otherPipelines(name: string, { records, secretKey, log }: CheckDeps): Promise<OtherPipeline[]> {
  const open = opener(secretKey);
  const own = recordKey.spec(name);
  const keys = (await records.keys(recordKey.spec("*"))).filter((key) => key !== own);
  const others = await Promise.all(
    keys.slice(0, MOST_OTHERS).map(async (key): Promise<OtherPipeline[]> => {
      try {
        const spec = await records.get(key, writtenSpec);
        // What is cut over writes no more: the way back may be the next pipeline.
        if (spec === null || spec.value.desired === "cut-over") return [];
        const { name: other, source, destinations } = pipelineSchema.parse(spec.value.pipeline);
        const opened = destinations.map((destination) => ({ group: destination.group, endpoint: open(destination) }));
        return [{ name: other, source: open(source), destinations: opened }];
      } catch (cause) {
        if (cause instanceof Retryable) throw cause;
        if (!(cause instanceof Halt)) {
          log.warn(
            { pipeline: name, record: key },
            `checked without regard to a pipeline that can't be read: ${describeFault(cause)}`,
          );
        }
        return [];
      }
    }),
  );
  return others.flat();
}

/** The report of checks that could not be made, for a reason that is not any server's. */
export function refusedBy({ code, message, remedy }: Pick<Halt, "code" | "message" | "remedy">, at: number): PrecheckReport {
  const result = {
    id: "sluice-settings",
    title: "The coordinator can use what the pipeline names",
    endpoint: "sluice",
    level: "fail" as const,
    code,
    found: message,
    expected: "settings that it can use",
    why: "Nothing can be asked without them.",
    fix: remedy,
    tookMs: 0,
    waived: null,
  };
  return { at, results: [result], verdict: "fail" };
}
