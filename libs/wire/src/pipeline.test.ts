import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDuration } from "./duration.ts";
import { endpointOf } from "./endpoint.ts";
import { expiryGraceMs, expiryWithGrace, settledExpiry, type EndpointSpec } from "./pipeline.ts";
import { parsePipelineFile } from "./pipeline-file.ts";
import { parseRedisUrl } from "./redis-url.ts";

describe("durations", () => {
  test.each([
    ["1ms", 1],
    ["0s", 0],
    ["20s", 20_000],
    ["720m", 43_200_000],
    ["1.5h", 5_400_000],
    ["0.001s", 1],
    ["1.5ms", 2],
    ["36500d", 3_153_600_000_000],
  ])("%s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    "",
    "5",
    "5 s",
    " 5s",
    "5s\n",
    "-5s",
    "+5s",
    "5S",
    "5w",
    "1h30m",
    "1e3s",
    ".5s",
    "5.s",
    "0x5s",
    "Infinitys",
    "36501d",
    "999999999d",
  ])("%j is none", (text) => {
    expect(parseDuration(text)).toBeNull();
  });
});

describe("redis URLs", () => {
  test.each([
    ["redis://a:1", { host: "a", port: 1, tls: false }],
    ["redis://a", { host: "a", port: 6379, tls: false }],
    ["redis://a/", { host: "a", port: 6379, tls: false }],
    ["rediss://a.b.c:65535", { host: "a.b.c", port: 65_535, tls: true }],
    ["redis://127.0.0.1:7000", { host: "127.0.0.1", port: 7000, tls: false }],
    ["redis://[::1]:7000", { host: "::1", port: 7000, tls: false }],
    [
      "sentinel://a/mymaster",
      { host: "a", port: 26_379, tls: false, sentinels: { primary: "mymaster", servers: [{ host: "a", port: 26_379 }] } },
    ],
    [
      "sentinels://a:1,[::1],b.c:2/orders-1.main_x",
      {
        host: "a",
        port: 1,
        tls: true,
        sentinels: {
          primary: "orders-1.main_x",
          servers: [
            { host: "a", port: 1 },
            { host: "::1", port: 26_379 },
            { host: "b.c", port: 2 },
          ],
        },
      },
    ],
  ])("%s", (text, address) => {
    expect(parseRedisUrl(text)).toEqual(address);
  });

  test.each([
    ["", "expected redis://host:port"],
    ["a:6379", "expected the scheme"],
    ["localhost", "expected redis://host:port"],
    ["unix:///tmp/redis.sock", "expected the scheme"],
    ["redis:a:6379", "expected a host"],
    ["redis://", "expected a host"],
    ["redis://:6379", "expected redis://host:port"],
    ["redis://a:0", "expected a port"],
    ["redis://a:65536", "expected redis://host:port"],
    ["redis://a:x", "expected redis://host:port"],
    ["redis://u@a", "expected no credentials"],
    ["redis://:p@a", "expected no credentials"],
    ["redis://a/3", "expected nothing behind the port"],
    ["redis://a?db=3", "expected nothing behind the port"],
    ["redis://a#x", "expected nothing behind the port"],
    ["sentinel://a:1", "expected the name of the primary"],
    ["sentinel://a:1/", "expected the name of the primary"],
    ["sentinel:///m", "expected a host"],
    ["sentinel://a,/m", "expected a host"],
    ["sentinel://a:x/m", "expected host:port of each Sentinel"],
    ["sentinel://a:0/m", "expected a port"],
    ["sentinel://u:p@a/m", "expected no credentials"],
    ["sentinel://a/m/0", "expected a name"],
    ["sentinel://a/m?x=1", "expected a name"],
  ])("%j is refused", (text, message) => {
    expect(parseRedisUrl(text)).toContain(message);
  });
});

describe("endpointOf", () => {
  const open = (sealed: string): string => `opened ${sealed}`;
  const read = (path: string): string => `content of ${path}`;

  test("opens the secret and reads the certificates", () => {
    const tls = { ca: "ca", cert: "cert", key: "key", serverName: "name", insecure: true };
    expect(endpointOf({ url: "rediss://h:1", user: "u", password: "p", tls }, open, read)).toEqual({
      host: "h",
      port: 1,
      user: "u",
      password: "opened p",
      tls: { ca: "content of ca", cert: "content of cert", key: "content of key", serverName: "name", insecure: true },
    });
  });

  test("says no more than it was told", () => {
    expect(endpointOf({ url: "redis://h" }, open, read)).toEqual({ host: "h", port: 6379 });
    expect(endpointOf({ url: "rediss://h" }, open, read)).toEqual({ host: "h", port: 6379, tls: {} });
  });

  test("knows the Sentinels with credentials of their own", () => {
    const url = "sentinels://a:1,b/m";
    expect(endpointOf({ url, password: "p", sentinel: { user: "s", password: "q" } }, open, read)).toEqual({
      host: "a",
      port: 1,
      password: "opened p",
      tls: {},
      sentinels: {
        primary: "m",
        servers: [
          { host: "a", port: 1 },
          { host: "b", port: 26_379 },
        ],
        user: "s",
        password: "opened q",
      },
    });
    expect(endpointOf({ url, password: "p" }, open, read).sentinels).not.toHaveProperty("password");
    const elsewhere = { password: { env: "X" } };
    expect(() => endpointOf({ url, sentinel: elsewhere }, open, read)).toThrow("was never read from where it stands");
  });

  test("knows nodes with credentials of their own, by the name that connections give them", () => {
    const nodes = { "HOST-a:7": { user: "n", password: "q" }, "[0::1]:8": { password: "r" } };
    expect(endpointOf({ url: "redis://h", nodes }, open, read).nodes).toEqual({
      "host-a:7": { user: "n", password: "opened q" },
      "[::1]:8": { password: "opened r" },
    });
    const elsewhere = { "a:1": { password: { env: "X" } } };
    expect(() => endpointOf({ url: "redis://h", nodes: elsewhere }, open, read)).toThrow("was never read from where it stands");
  });

  test.each([{ env: "SECRET" }, { file: "/secret" }])("never goes on without the password that stands in %j", (password) => {
    expect(() => endpointOf({ url: "redis://h", password }, open, read)).toThrow("redis://h: the password in the record");
  });

  test("refuses a url that is none, and passes on what reading throws", () => {
    const missing = (path: string): string => {
      throw new Error(`no ${path}`);
    };
    expect(() => endpointOf({ url: "h" } satisfies EndpointSpec, open, read)).toThrow("h: expected redis://");
    expect(() => endpointOf({ url: "rediss://h", tls: { ca: "ca" } }, open, missing)).toThrow("no ca");
  });
});

describe("the grace on expiries", () => {
  const each = (windowMs: number) => ({ source: windowMs, destination: windowMs, bus: windowMs });
  const grace = fc.tuple(fc.nat(3_153_600_000_000), fc.nat(3_153_600_000_000)).map(([windowMs, keepApplied]) => {
    return expiryGraceMs({ retryWindow: each(windowMs), keepApplied });
  });
  const expiry = fc.integer({ min: -1_000_000, max: 10 ** 14 });

  test("is even and at least as long as both windows together", () => {
    expect(expiryGraceMs({ retryWindow: each(43_200_000), keepApplied: 600_000 })).toBe(43_800_000);
    expect(expiryGraceMs({ retryWindow: each(1), keepApplied: 2 })).toBe(4);
    for (const longest of ["source", "destination", "bus"])
      expect(expiryGraceMs({ retryWindow: { ...each(2), [longest]: 10 }, keepApplied: 2 })).toBe(12);
    expect(expiryGraceMs(parsePipelineFile("{name: p, source: {url: redis://a}, destinations: [{url: redis://b}]}", "f"))).toBe(
      43_800_000,
    );
    fc.assert(fc.property(grace, (graceMs) => graceMs % 2 === 0));
  });

  test("makes every expiry odd, later by the grace and at most 1 ms more", () => {
    fc.assert(
      fc.property(expiry, grace, (at, graceMs) => {
        const shifted = expiryWithGrace(at, graceMs);
        expect(Math.abs(shifted % 2)).toBe(1);
        expect(shifted - at - graceMs).toBeGreaterThanOrEqual(0);
        expect(shifted - at - graceMs).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("keeps the order of expiries, and equal ones equal", () => {
    fc.assert(
      fc.property(expiry, fc.nat(3), grace, (at, later, graceMs) => {
        expect(expiryWithGrace(at + later, graceMs)).toBeGreaterThanOrEqual(expiryWithGrace(at, graceMs));
        expect(expiryWithGrace(at, graceMs)).toBe(expiryWithGrace(at, graceMs));
      }),
    );
  });

  test("is settled by subtracting it, once: what is left is even and the expiry itself or 1 ms less", () => {
    fc.assert(
      fc.property(expiry, grace, (at, graceMs) => {
        const settled = settledExpiry(expiryWithGrace(at, graceMs), graceMs) as number;
        expect(Math.abs(settled % 2)).toBe(0);
        expect(at - settled).toBe(Math.abs(at % 2));
        expect(settledExpiry(settled, graceMs)).toBeNull();
      }),
    );
  });

  test("an expiry beyond all dates was never given one", () => {
    expect(settledExpiry(2 ** 53 - 1, 1_000)).toBeNull();
  });
});
