import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { formatListen, freeAddress, parseListen } from "./listen-address.ts";

test.each([
  ["127.0.0.1:7380", "127.0.0.1", 7380],
  ["localhost:0", "localhost", 0],
  ["[::1]:80", "::1", 80],
])("%s", (text, host, port) => {
  expect(parseListen(text, "--api")).toEqual({ host, port });
  expect(formatListen({ host, port })).toBe(text);
});

test.each(["7380", ":7380", "a:b", "a:70000", "::1:80", "a b:1"])("%s is refused", (text) => {
  expect(() => parseListen(text, "--api")).toThrow(`--api is ${JSON.stringify(text)}; expected host:port`);
});

test("a port that is taken is not free; port 0 becomes one that is", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  expect(await freeAddress({ host: "127.0.0.1", port })).toBeNull();
  const free = await freeAddress({ host: "127.0.0.1", port: 0 });
  expect(free?.port).toBeGreaterThan(0);
  expect(free?.port).not.toBe(port);
  server.close();
  await once(server, "close");
  expect(await freeAddress({ host: "127.0.0.1", port })).toEqual({ host: "127.0.0.1", port });
});

test("an address that is not this machine's is refused with its reason", async () => {
  await expect(freeAddress({ host: "192.0.2.1", port: 1 })).rejects.toThrow("192.0.2.1:1 can't be listened on: EADDRNOTAVAIL");
});
