import type { BusFacts } from "@sluice/bus";
import type { Code, Clock } from "@sluice/runtime";
import type { PrecheckLevel } from "@sluice/wire";
import type { DestinationProbe } from "./probe/destination-probe.ts";
import type { SourceProbe } from "./probe/source-probe.ts";
import type { PrecheckSubject } from "./subject.ts";

/** Everything that a check may ask. Each fact is read when it is first asked for, once for all checks. */
export interface PrecheckContext {
  readonly subject: PrecheckSubject;
  readonly source: SourceProbe;
  readonly destinations: readonly DestinationProbe[];
  /** Rejects with `Retryable` BUS-001. */
  readonly bus: () => Promise<BusFacts>;
  readonly clock: Clock;
}

/** What a check says; what it leaves out is the check's own. */
export interface Look {
  readonly level: PrecheckLevel;
  readonly found: string;
  readonly expected?: string;
  readonly fix?: string;
  readonly code?: Code;
}

/** What a check says of one endpoint: `source`, `source 10.0.0.1:7000`, `destination main`, `bus`. */
export interface Finding extends Look {
  readonly endpoint: string;
  /** Nothing at all could be asked of this deployment (or of the bus): left out where a gate says so, see `PrecheckText.isGate`. */
  readonly unasked?: string;
}

/** What a check is about, for the operator and for the reference page. */
export interface PrecheckText {
  /** Kebab-case, begins with `source-`, `destination-` or `bus-`; never changes its meaning. */
  readonly id: string;
  /** What it makes sure of, as a statement. */
  readonly title: string;
  /** What happens otherwise. */
  readonly why: string;
  readonly expected: string;
  readonly fix: string;
  /** When it warns or fails; null: never. */
  readonly warns: string | null;
  readonly fails: string | null;
  /** Of the matter; stands in every fail, and in a warn that says so. */
  readonly code: Code;
  /** A fail may be waived, too: the operator may know better. */
  readonly isWaivable?: true;
  /** What it means that the check could not tell. Default `warn`. */
  readonly ifUnknown?: "fail";
  /** Runs always, and its fails are told always: others can't tell anything where it fails. */
  readonly isGate?: true;
}

/**
 * One named check. `run` may throw: it then could not tell, which is a warn or a fail, see `ifUnknown`. It asks, and changes nothing
 * on any server.
 */
export interface Precheck extends PrecheckText {
  readonly applies?: (context: PrecheckContext) => boolean;
  readonly run: (context: PrecheckContext) => Promise<readonly Finding[]>;
}

type Details = Pick<Look, "expected" | "fix" | "code">;

export function pass(found: string, details: Details = {}): Look {
  return { level: "pass", found, ...details };
}

export function warn(found: string, details: Details = {}): Look {
  return { level: "warn", found, ...details };
}

export function fail(found: string, details: Details = {}): Look {
  return { level: "fail", found, ...details };
}
