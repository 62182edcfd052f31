import { setMaxListeners } from "node:events";
import type { BusFacts } from "@sluice/bus";
import type { Clock, Logger } from "@sluice/runtime";
import { precheckVerdict, type PrecheckReport, type PrecheckRequest, type PrecheckResult } from "@sluice/wire";
import { Refusal } from "../desk/refusal.ts";
import { prechecks } from "./prechecks.ts";
import type { Finding, Precheck, PrecheckContext } from "./precheck.ts";
import { DestinationProbe } from "./probe/destination-probe.ts";
import { SourceProbe } from "./probe/source-probe.ts";
import { unknown } from "./server-check.ts";
import type { PrecheckSubject } from "./subject.ts";

/** How long one check may take. */
const CHECK_TIMEOUT_MS = 15_000;

export interface PrecheckDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** What the bus says of itself; rejects with `Retryable` BUS-001. See `Bus.facts`. */
  readonly bus: () => Promise<BusFacts>;
}

export interface Prechecked {
  readonly report: PrecheckReport;
  readonly facts: {
    /** Of all marks of this pipeline in its destinations, 0 without any: no new epoch may be one of these (H6). */
    readonly highestEpoch: number;
    /** Of the copies that these marks speak of, of whichever epoch. */
    readonly highestCopy: number;
  };
}

/** What a check came to. */
interface Ran {
  readonly check: Precheck;
  readonly findings: readonly Finding[];
  readonly tookMs: number;
}

/**
 * Runs the checks of a pipeline side by side, each with its own time limit. They ask, and change nothing on any server. What a
 * server does never makes this reject. Throws `Refusal` 422 API-001 where the request names a check that there is not.
 *
 * Where a server can't be asked at all, the check of that says so, whether it was asked for or not, and those that would have
 * needed the server are left out of the report.
 */
export async function runPrechecks(
  subject: PrecheckSubject,
  request: PrecheckRequest,
  deps: PrecheckDeps,
): Promise<Prechecked> {
  const { clock, log } = deps;
  refuseUnknownChecks(request);
  const ending = new AbortController();
  // As many listeners as there are questions under way.
  setMaxListeners(0, ending.signal);
  let busFacts: Promise<BusFacts> | null = null;
  const context: PrecheckContext = {
    subject,
    source: new SourceProbe(subject.source, ending.signal, clock),
    destinations: subject.destinations.map((spec) => new DestinationProbe(subject, spec, ending.signal)),
    bus: async () => (busFacts ??= deps.bus()),
    clock,
  };
  try {
    const at = clock.nowMs();
    const wanted = new Set(request.only ?? prechecks.map(({ id }) => id));
    const run = prechecks.filter(({ id, isGate }) => wanted.has(id) || isGate === true);
    const ran = await Promise.all(run.map(async (check) => runOne(check, context)));
    const told = askedFindings(ran)
      .filter(({ check, findings }) => wanted.has(check.id) || findings.some(({ level }) => level === "fail"))
      .flatMap((one) => resultsOf(one, request, at));
    for (const { id, endpoint, found } of told.filter(({ level }) => level === "fail")) {
      log.info({ pipeline: subject.name, check: id, endpoint, found }, "a precheck failed");
    }
    // What has not been read by now is never: the check of the marks has failed.
    ending.abort();
    return {
      report: { at, results: told, verdict: precheckVerdict(told) },
      facts: { highestEpoch: await highestEpoch(context), highestCopy: await highestCopy(context) },
    };
  } finally {
    ending.abort();
  }
}

/** Every check's id, in the order of the report. */
export const precheckIds: readonly string[] = prechecks.map(({ id }) => id);
/** Ids of those behind which others are left out, see `PrecheckText.isGate`. */
export const gateIds: ReadonlySet<string> = new Set(prechecks.filter(({ isGate }) => isGate === true).map(({ id }) => id));

/** Throws `Refusal` 422 API-001 where one is named that there is not. */
export function refuseUnknownChecks({ only = [], ignore = [] }: PrecheckRequest): void {
  const named = [...only, ...ignore.map(({ id }) => id)].filter((id) => !precheckIds.includes(id));
  if (named.length === 0) return;
  const message = `there is no check ${named.map((id) => JSON.stringify(id)).join(", ")}`;
  throw new Refusal(422, "API-001", message, `Name some of these: ${precheckIds.join(", ")}.`);
}

async function runOne(check: Precheck, context: PrecheckContext): Promise<Ran> {
  const { clock } = context;
  const began = clock.monotonicMs();
  const findings = check.applies?.(context) === false ? [] : await findingsOf(check, context);
  return { check, findings, tookMs: Math.round(clock.monotonicMs() - began) };
}

async function findingsOf(check: Precheck, context: PrecheckContext): Promise<readonly Finding[]> {
  const answered = new AbortController();
  try {
    return await Promise.race([check.run(context), tooLate(context.clock, answered.signal)]);
  } catch (cause) {
    return [unknown(check, sideOf(check), cause)];
  } finally {
    answered.abort();
  }
}

async function tooLate(clock: Clock, signal: AbortSignal): Promise<never> {
  await clock.sleep(CHECK_TIMEOUT_MS, signal);
  throw new Error(`no answer in ${CHECK_TIMEOUT_MS / 1000} s`);
}

/** `source`, `destination` or `bus` */
function sideOf({ id }: Precheck): string {
  return id.split("-")[0] ?? "";
}

/** Without what could not be asked of endpoints where a gate tells why. */
function askedFindings(ran: readonly Ran[]): Ran[] {
  const shut = ran
    .filter(({ check }) => check.isGate === true)
    .flatMap(({ findings }) => findings)
    .filter(({ level, unasked }) => level !== "pass" && unasked === undefined)
    .map(({ endpoint }) => deploymentOf(endpoint));
  const isTold = ({ unasked }: Finding): boolean => unasked === undefined || !shut.includes(unasked);
  return ran.map((one) => ({ ...one, findings: one.findings.filter(isTold) }));
}

/** `source 10.0.0.1:7000` is a server of `source`, `destination main 10.0.0.1:7000` one of `destination main`. */
function deploymentOf(endpoint: string): string {
  const [side = "", name = ""] = endpoint.split(" ");
  return side === "destination" ? `${side} ${name}` : side;
}

/** The result as these waivers have it: a warn may be waived, and a fail where its check allows that. `at`: when it was, if it was not so before. */
export function waived(result: PrecheckResult, ignore: NonNullable<PrecheckRequest["ignore"]>, at: number): PrecheckResult {
  const { id, level } = result;
  const waiver = ignore.find((one) => one.id === id);
  const isWaivable = prechecks.find((check) => check.id === id)?.isWaivable === true;
  if (waiver === undefined || !(level === "warn" || (level === "fail" && isWaivable))) return { ...result, waived: null };
  const { reason } = waiver;
  return { ...result, waived: result.waived?.reason === reason ? result.waived : { at, reason } };
}

function resultsOf({ check, findings, tookMs }: Ran, { ignore = [] }: PrecheckRequest, at: number): PrecheckResult[] {
  const { id, title, why, code } = check;
  return findings.map((finding): PrecheckResult => {
    const { level, endpoint, found, expected = check.expected, fix = check.fix } = finding;
    const result: PrecheckResult = {
      id,
      title,
      endpoint,
      level,
      code: finding.code ?? (level === "fail" ? code : null),
      found,
      expected,
      why,
      fix,
      tookMs,
      waived: null,
    };
    return waived(result, ignore, at);
  });
}

/** 0, too, where the marks can't be read: the check of the marks fails then. */
async function highestEpoch({ destinations }: PrecheckContext): Promise<number> {
  const marks = await Promise.all(destinations.map(async (one) => one.mark().catch(() => null)));
  return Math.max(0, ...marks.map((mark) => (mark === null || typeof mark === "string" ? 0 : mark.epoch)));
}

async function highestCopy({ destinations }: PrecheckContext): Promise<number> {
  return Math.max(0, ...(await Promise.all(destinations.map(async (one) => one.highestCopy().catch(() => 0)))));
}
