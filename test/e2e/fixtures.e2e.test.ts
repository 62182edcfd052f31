import {
  diffCanonical,
  fixtureVersions,
  loadExpected,
  NatsServer,
  rdbPath,
  readCanonical,
  RecordedPrimary,
  RedisServer,
} from "@sluice/testkit";
import { expiryWithGrace, OWN_KEY_PREFIX } from "@sluice/wire";
import { expect, test } from "vitest";
import { Services } from "./deployment.ts";

test("the RDB files of Redis 2.8 to 7.0 are copied exactly, all at once through one deployment", async () => {
  await using nats = await NatsServer.start();
  await using services = await Services.start(nats.url, { ingests: 1, writers: 1 });
  const servers: AsyncDisposable[] = [];
  await using _servers = {
    [Symbol.asyncDispose]: async () => void (await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))),
  };
  const copies = await Promise.all(
    fixtureVersions.map(async (version) => {
      const primary = await RecordedPrimary.start({ version, rdb: rdbPath(version) });
      const destination = await RedisServer.start();
      servers.push(primary, destination);
      const name = version.replaceAll(".", "-");
      await services.status.create({ name, source: { url: primary.url }, destinations: [{ url: destination.url }] });
      return { version, name, destination };
    }),
  );
  for (const { version, name, destination } of copies) {
    const { expiryGraceMs } = await services.status.until(name, "copied", ({ lanes }) => lanes[0]?.phase === "live");
    const expected = loadExpected(version, "expected");
    const content = await readCanonical(destination.client());
    const actual = {
      ...content,
      keys: content.keys.filter(({ key }) => !Buffer.from(key, "base64").toString().startsWith(OWN_KEY_PREFIX)),
    };
    const differences = diffCanonical(expected, actual, {
      expiryOf: (expireAtMs) => expiryWithGrace(expireAtMs, expiryGraceMs),
    });
    expect(differences, version).toEqual([]);
    expect(actual.keys.length, version).toBeGreaterThan(300);
  }
});
