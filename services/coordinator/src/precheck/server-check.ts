import { describeFault } from "@sluice/runtime";
import type { Finding, Look, Precheck, PrecheckContext, PrecheckText } from "./precheck.ts";
import type { DeploymentProbe } from "./probe/deployment-probe.ts";
import type { DestinationProbe } from "./probe/destination-probe.ts";
import { isAboutCredentials, ServerFailure } from "./probe/server-failure.ts";
import type { ServerProbe } from "./probe/server-probe.ts";

/** Servers that are told of one by one: the others of a large cluster are most often alike. */
const MOST_FINDINGS = 8;

/** A check of every server that the source is read from: each primary, and with `read: replica` each replica, too. */
export function eachSourceServer(
  text: PrecheckText & Pick<Precheck, "applies">,
  look: (server: ServerProbe, context: PrecheckContext) => Promise<Look>,
): Precheck {
  return {
    ...text,
    run: async (context) => {
      const { source, subject } = context;
      const replicas = subject.read === "replica" ? await source.replicas() : [];
      return lookAtAll(source, [...(await source.primaries()), ...replicas], text, async (server) => look(server, context));
    },
  };
}

/** A check of every primary of every destination. */
export function eachDestinationServer(
  text: PrecheckText,
  look: (server: ServerProbe, destination: DestinationProbe, context: PrecheckContext) => Promise<Look>,
): Precheck {
  return {
    ...text,
    run: async (context) =>
      eachDestination(context, text, async (destination) =>
        lookAtAll(destination, await destination.primaries(), text, async (server) => look(server, destination, context)),
      ),
  };
}

/** Asks each destination side by side; one that can't be asked does not keep the others from being told of. */
export async function eachDestination(
  { destinations }: PrecheckContext,
  text: PrecheckText,
  look: (destination: DestinationProbe) => Promise<readonly Finding[]>,
): Promise<Finding[]> {
  const found = await Promise.all(
    destinations.map(async (destination) => {
      try {
        return await look(destination);
      } catch (cause) {
        return [unknown(text, destination.name, cause)];
      }
    }),
  );
  return found.flat();
}

/** What a check says of a deployment as a whole. */
export async function wholeDestinations(
  context: PrecheckContext,
  text: PrecheckText,
  look: (destination: DestinationProbe) => Promise<Look>,
): Promise<Finding[]> {
  return eachDestination(context, text, async (destination) => [{ endpoint: destination.name, ...(await look(destination)) }]);
}

/** What it means that a check could not tell. */
export function unknown({ ifUnknown, fix, code }: PrecheckText, endpoint: string, cause: unknown): Finding {
  const isRefused = isAboutCredentials(cause);
  return {
    endpoint,
    level: ifUnknown ?? "warn",
    found: `can't be told: ${describeFault(cause)}`,
    code: isRefused || ifUnknown === undefined ? code : "PIP-012",
    ...(isRefused ? { fix: `Let the user run what the message names, or see to it by hand: ${fix}` } : {}),
    ...(cause instanceof ServerFailure ? { unasked: cause.deployment } : {}),
  };
}

/** All is well: one finding for all. Otherwise one for each server where it is not. */
export async function lookAtAll(
  of: DeploymentProbe,
  servers: readonly ServerProbe[],
  text: PrecheckText,
  look: (server: ServerProbe) => Promise<Look>,
): Promise<Finding[]> {
  const looks = servers.map(async (server): Promise<Finding> => {
    const endpoint = await of.labelOf(server);
    try {
      return { ...(await look(server)), endpoint };
    } catch (cause) {
      return unknown(text, endpoint, cause);
    }
  });
  return merged(of.name, await Promise.all(looks));
}

/** As one finding where all pass; else those that do not, the worst first, and how many more there are. */
export function merged(name: string, found: readonly Finding[]): Finding[] {
  const rank = ({ level, unasked }: Finding): number => (level === "fail" ? 0 : 1) + (unasked === undefined ? 0 : 2);
  const notable = found.filter(({ level }) => level !== "pass").toSorted((a, b) => rank(a) - rank(b));
  if (notable.length > 0) {
    const told = notable.slice(0, MOST_FINDINGS);
    const last = told.at(-1);
    const more = notable.length - told.length;
    if (last === undefined || more === 0) return told;
    return [...told.slice(0, -1), { ...last, found: `${last.found}; so have ${more} more servers something to tell` }];
  }
  const [first] = found;
  if (first === undefined) return [];
  if (found.length === 1) return [first];
  const isSame = found.every((one) => one.found === first.found);
  const others = isSame ? ` (${found.length} servers)` : `, and as good on ${found.length - 1} more servers`;
  return [{ ...first, endpoint: name, found: first.found + others }];
}
