import { expiryGraceMs, type Pipeline } from "@sluice/wire";
import { Refusal } from "./refusal.ts";
import { isSameSource, place } from "./same-source.ts";

/** Throws `Refusal` PIP-003 when `posted` is not the pipeline that exists. */
export function refuseOther(posted: Pipeline, existing: Pipeline): void {
  const { source, destinations } = movedEndpoints(posted, existing);
  const differing = [...(source ? ["the source"] : []), ...(destinations.length > 0 ? ["the destinations"] : [])];
  const { name } = posted;
  if (differing.length > 0) {
    throw new Refusal(
      409,
      "PIP-003",
      `pipeline ${name} exists and differs in ${differing.join(" and ")}`,
      "Give the new one another name. To lead the old one to other servers, edit it: `PUT /api/v1/pipelines/NAME`.",
    );
  }
  refuseFixed(posted, existing);
}

/** Throws `Refusal` PIP-003 that names what of a pipeline that has run can't be changed. */
export function refuseFixed(posted: Pipeline, existing: Pipeline): void {
  const { name } = posted;
  const refuse = (what: string): never => {
    throw new Refusal(
      409,
      "PIP-003",
      `pipeline ${name} exists with ${what}`,
      "Keep it as it was, or give the new pipeline another name.",
    );
  };
  if (posted.lanes !== existing.lanes) refuse(`\`lanes: ${existing.lanes}\`, and its stream is cut so`);
  if (posted.mode !== existing.mode) refuse(`\`mode: ${existing.mode}\``);
  if (expiryGraceMs(posted) !== expiryGraceMs(existing)) {
    refuse(`retryWindow + keepApplied of ${expiryGraceMs(existing)} ms, and expiries in its destinations carry this sum`);
  }
  if (JSON.stringify(posted.source.databases) !== JSON.stringify(existing.source.databases)) {
    refuse("other `source.databases`: what was copied so far would stay, and what was left out be missing");
  }
  for (const { group, databases, keys, commands, existing: held } of posted.destinations) {
    const former = existing.destinations.find((destination) => destination.group === group);
    if (former === undefined) continue;
    if (former.existing !== held && [former.existing, held].includes("keep")) {
      refuse(`\`existing: ${former.existing}\` for ${group}: which keys are kept is settled before the first copy`);
    }
    if (JSON.stringify([databases, keys]) !== JSON.stringify([former.databases, former.keys])) {
      refuse(
        `other \`databases\` or \`keys\` for ${group}: what was copied so far would stay, and what was left out be missing`,
      );
    }
    if (JSON.stringify(commands) !== JSON.stringify(former.commands)) {
      refuse(`other \`commands\` for ${group}: what was left out so far would stay so`);
    }
  }
}

/** Which endpoints lead elsewhere now; credentials and TLS settings are no other endpoint. */
export function movedEndpoints(posted: Pipeline, existing: Pipeline): { source: boolean; destinations: string[] } {
  const former = new Map(existing.destinations.map(({ group, url }) => [group, place(url)]));
  const now = new Map(posted.destinations.map(({ group, url }) => [group, place(url)]));
  const groups = [...new Set([...former.keys(), ...now.keys()])];
  return {
    source: !isSameSource(posted.source.url, existing.source.url),
    destinations: groups.filter((group) => former.get(group) !== now.get(group)),
  };
}
