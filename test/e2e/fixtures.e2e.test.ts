import {
  diffCanonical,
  fixtureVersions,
  laterVersions,
  loadExpected,
  NatsServer,
  rdbPath,
  readCanonical,
  RecordedPrimary,
  RedisServer,
  type FixtureVersion,
} from "@sluice/testkit";
import { expiryWithGrace, OWN_KEY_PREFIX } from "@sluice/wire";
import { expect, test } from "vitest";
import { Services } from "./deployment.ts";

const versions: readonly FixtureVersion[] = [...fixtureVersions, ...laterVersions];

/**
 * The content as a Redis 7.0 can hold it: `readCanonical` and `diffCanonical` do not look at the expiries of hash fields, which it has no room
 * for. A hash all of whose fields expire is there with them, since nothing deletes them there.
 */
const contentOf = (version: FixtureVersion) => loadExpected(version, "expected");

const hasFieldExpiries = (version: FixtureVersion): boolean =>
  contentOf(version).keys.some((key) => key.type === "hash" && key.value.some(([, , at]) => at !== undefined));

// Mutation: value-commands.ts, `whole`: a value that is refused is left out in place of built; value-forms.ts, `learns` always false.
test.each([
  ["as they are", {}],
  ["where the destination has no RESTORE: from their elements", { "rename-command": 'RESTORE ""' }],
])("the RDB files of 13 servers, Redis 2.8 to 8.0 and Valkey 8 and 9, are copied exactly %s", async (_, config) => {
  await using nats = await NatsServer.start();
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1 });
  const servers: AsyncDisposable[] = [];
  await using _servers = {
    [Symbol.asyncDispose]: async () => void (await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))),
  };
  const copies = await Promise.all(
    versions.map(async (version) => {
      const primary = await RecordedPrimary.start({ version, rdb: rdbPath(version) });
      const destination = await RedisServer.start({ config });
      servers.push(primary, destination);
      const name = version.replaceAll(".", "-");
      const policy = hasFieldExpiries(version) ? ({ unsupported: "skip" } as const) : {};
      const destinations = [{ url: destination.url, ...policy }];
      await services.status.create({ name, source: { url: primary.url }, destinations });
      return { version, name, destination };
    }),
  );
  for (const { version, name, destination } of copies) {
    const status = await services.status.until(name, "copied", ({ lanes }) => lanes[0]?.phase === "live");
    const content = await readCanonical(destination.client());
    const actual = {
      ...content,
      keys: content.keys.filter(({ key }) => !Buffer.from(key, "base64").toString().startsWith(OWN_KEY_PREFIX)),
    };
    const differences = diffCanonical(contentOf(version), actual, {
      expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, status.expiryGraceMs),
    });
    expect(differences, version).toEqual([]);
    expect(actual.keys.length, version).toBeGreaterThan(300);
    expect((status.lanes[0]?.unsupported ?? 0) > 0, version).toBe(hasFieldExpiries(version));
  }
});
