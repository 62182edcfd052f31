import { endpointName } from "@sluice/redis";
import { codes, type Code } from "@sluice/runtime";
import { fail, pass, warn, type Finding, type Look } from "./precheck.ts";
import type { DeploymentProbe } from "./probe/deployment-probe.ts";
import { ServerFailure } from "./probe/server-failure.ts";
import { ServerProbe } from "./probe/server-probe.ts";
import { merged } from "./server-check.ts";

/** Codes of a server that the pipeline names, and of another that it leads to. */
interface SeedCodes {
  readonly seed: Code;
  readonly node: Code;
}

interface Asked {
  readonly endpoint: string;
  readonly isSeed: boolean;
  readonly isPrimary: boolean;
  readonly failure: ServerFailure | null;
  readonly product: string;
}

/** Whether the named server and every node that it leads to answer; that one does not accept who we are is no matter of this. */
export async function reachability(of: DeploymentProbe, named: SeedCodes): Promise<Finding[]> {
  const found = (await askAll(of)).map(({ endpoint, isSeed, isPrimary, failure, product }): Finding => {
    if (failure === null || failure.kind === "credentials")
      return { endpoint, ...pass(product === "" ? "it answers" : product) };
    if (failure.kind === "untrusted") return { endpoint, ...untrusted(of, failure) };
    if (isSeed) return { endpoint, ...fail(failure.message, { code: named.seed }) };
    const fix =
      "Every node must be reachable from Sluice at the address that it announces: open the network, or set `cluster-announce-ip` and `cluster-announce-port` (replicas of a standalone server: `replica-announce-ip`).";
    if (isPrimary) return { endpoint, ...fail(failure.message, { code: named.node, fix }) };
    const text = `${failure.message}. It is a replica: Sluice could not follow a failover to it`;
    return { endpoint, ...warn(text, { fix }) };
  });
  return merged(of.name, [...found, ...(await sentinelFindings(of))]);
}

function untrusted(of: DeploymentProbe, { message }: ServerFailure): Look {
  const code = of.name.startsWith("source") ? "SRC-017" : "DST-020";
  return fail(message, { code, fix: codes[code].remedy });
}

/** Whether each server accepts our credentials and lets us ask INFO. */
export async function acceptance(of: DeploymentProbe, code: Code): Promise<Finding[]> {
  const asked = (await askAll(of)).filter(({ failure }) => failure === null || failure.kind === "credentials");
  const found = asked.map(({ endpoint, failure }): Finding =>
    failure === null ? { endpoint, ...pass("accepted") } : { endpoint, ...fail(failure.message, { code }) },
  );
  return merged(of.name, found);
}

async function askAll(of: DeploymentProbe): Promise<Asked[]> {
  const seed = await seedOf(of);
  if (seed instanceof ServerFailure) {
    return [{ endpoint: of.name, isSeed: true, isPrimary: true, failure: seed, product: "" }];
  }
  const first = await ask(of.name, seed, true, true);
  if (first.failure !== null) return [first];
  try {
    const [primaries, replicas] = await Promise.all([of.primaries(), of.replicas()]);
    const others = [...primaries, ...replicas].filter((server) => server !== seed);
    return [
      first,
      ...(await Promise.all(
        others.map(async (server) => ask(`${of.name} ${server.name}`, server, false, primaries.includes(server))),
      )),
    ];
  } catch {
    // A cluster that can't be looked at is a matter of its topology.
    return [first];
  }
}

async function seedOf(of: DeploymentProbe): Promise<ServerProbe | ServerFailure> {
  try {
    return await of.seed();
  } catch (cause) {
    return cause instanceof ServerFailure ? cause : new ServerFailure(of.name, endpointName(of.endpoint), cause);
  }
}

async function ask(endpoint: string, server: ServerProbe, isSeed: boolean, isPrimary: boolean): Promise<Asked> {
  try {
    return { endpoint, isSeed, isPrimary, failure: null, product: (await server.state()).product };
  } catch (cause) {
    // What broke off in the middle of an answer is as good as none.
    const failure = cause instanceof ServerFailure ? cause : new ServerFailure(endpoint, server.name, cause);
    return { endpoint, isSeed, isPrimary, failure, product: "" };
  }
}

/** Sentinels that do not answer, while others do: with them gone nobody tells of the next failover. */
async function sentinelFindings(of: DeploymentProbe): Promise<Finding[]> {
  const { sentinels, tls } = of.endpoint;
  if (sentinels === undefined) return [];
  const { user, password } = sentinels;
  const credentials = { ...(user === undefined ? {} : { user }), ...(password === undefined ? {} : { password }) };
  const transport = tls === undefined ? {} : { tls };
  const found = await Promise.all(
    sentinels.servers.map(async (address): Promise<Finding[]> => {
      const sentinel = new ServerProbe(of.name, { ...address, ...transport, ...credentials }, of.signal);
      try {
        await sentinel.ask("PING");
        return [];
      } catch (cause) {
        const reason =
          cause instanceof ServerFailure ? cause.message : new ServerFailure(of.name, sentinel.name, cause).message;
        const fix = "Start this Sentinel, open the network to it, or take it out of the `url`.";
        return [{ endpoint: `${of.name} sentinel ${sentinel.name}`, ...warn(reason, { fix }) }];
      }
    }),
  );
  return found.flat();
}
