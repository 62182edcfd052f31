import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority, freePort, RedisCluster, RedisServer, releasePort, waitUntil } from "@sluice/testkit";
import { expect, test } from "vitest";
import { credentialsFor, endpointName, type Endpoint } from "../connection/endpoint.ts";
import { ClusterConnections } from "./cluster-connections.ts";
import { lookAtDeployment } from "./look-at-deployment.ts";

const TIMEOUT_MS = 30_000;
const SEEING = ["on", "+info", "+cluster|nodes", "+cluster|slots"];

test("nodes of a cluster that know the user by passwords of their own", async () => {
  await using cluster = await RedisCluster.start();
  const nodes: Record<string, { password: string }> = {};
  for (const [index, node] of cluster.nodes.entries()) {
    await node.client().call("ACL", "SETUSER", "sluice", `>secret-${index}`, ...SEEING);
    nodes[endpointName({ host: "127.0.0.1", port: node.port })] = { password: `secret-${index}` };
  }
  const seed = { host: "127.0.0.1", port: cluster.nodes[0]?.port ?? 0 };
  const look = async (credentials: Omit<Endpoint, "host" | "port">) => {
    const connections = new ClusterConnections(credentials, TIMEOUT_MS);
    return lookAtDeployment(connections, [seed]).finally(() => connections.close());
  };
  expect(await look({ user: "sluice", nodes })).toMatchObject({ mode: "cluster", trouble: null });
  expect((await look({ user: "sluice", password: "secret-0" })).trouble).toContain("WRONGPASS");
});

test("a cluster by TLS is seen with the ports that speak it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-tls-cluster-"));
  const authority = new Authority();
  const { ca, cert, key } = await authority.write(folder, "node");
  const port = await freePort();
  try {
    await using server = await RedisServer.start({
      config: {
        "cluster-enabled": "yes",
        "tls-cluster": "yes",
        "tls-port": String(port),
        "tls-auth-clients": "no",
        "tls-ca-cert-file": ca,
        "tls-cert-file": cert,
        "tls-key-file": key,
      },
    });
    await server.client().call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    const connections = new ClusterConnections({ tls: { ca: authority.cert } }, TIMEOUT_MS);
    const seen = await waitUntil("it has taken its slots", async () => {
      const deployment = await lookAtDeployment(connections, [{ host: "127.0.0.1", port }]);
      return deployment.primaries.length > 0 ? deployment : null;
    }).finally(() => connections.close());
    expect(seen.primaries).toMatchObject([{ host: "127.0.0.1", port, slots: "0-16383" }]);
    expect(seen.trouble).toBeNull();
  } finally {
    releasePort(port);
    await rm(folder, { recursive: true });
  }
});

test("a node's own credentials stand in for those of the deployment, each by itself", () => {
  const endpoint = {
    host: "A",
    port: 1,
    user: "u",
    password: "p",
    nodes: { "a:1": { password: "own" }, "b:1": { user: "v" } },
  };
  expect(credentialsFor(endpoint)).toEqual({ user: "u", password: "own" });
  expect(credentialsFor({ ...endpoint, host: "b" })).toEqual({ user: "v", password: "p" });
  expect(credentialsFor({ ...endpoint, port: 2 })).toEqual({ user: "u", password: "p" });
  expect(credentialsFor({ host: "toString", port: 1, nodes: {} })).toEqual({});
});
