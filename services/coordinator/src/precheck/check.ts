import type { Code } from "@sluice/runtime";
import type { EndpointFacts, PrecheckFacts } from "./facts.ts";

/** Something that forbids a pipeline to start. */
export interface Finding {
  readonly code: Code;
  /** `source`, `destination main` */
  readonly endpoint: string;
  readonly found: string;
  readonly expected: string;
}

/** One named test of what was gathered. Pure; what could not be asked is no finding of a check that needs the answer. */
export interface Check {
  readonly id: string;
  readonly title: string;
  judge(facts: PrecheckFacts): readonly Finding[];
}

/** The codes of one matter at the source and at a destination. */
export interface SidedCodes {
  readonly source: Code;
  readonly destination: Code;
}

/** A check that looks at each server alone; `look` answers what is found and expected, or null when all is well. */
export function eachEndpoint(
  id: string,
  title: string,
  codes: SidedCodes,
  look: (facts: EndpointFacts) => { readonly found: string; readonly expected: string } | null,
): Check {
  return {
    id,
    title,
    judge: ({ source, destinations }) =>
      [source, ...destinations].flatMap((facts) => {
        const finding = look(facts);
        const code = facts === source ? codes.source : codes.destination;
        return finding === null ? [] : [{ code, endpoint: facts.endpoint, ...finding }];
      }),
  };
}
