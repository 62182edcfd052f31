import { Authority } from "@sluice/testkit";
import { expect, test } from "vitest";
import { readApiSettings } from "./config.ts";

const TOKEN = "0123456789abcdef";
const authority = new Authority();
const [own, another] = [authority.issue(), authority.issue()];
const files: Readonly<Record<string, string>> = {
  "/token": `${TOKEN}\n`,
  "/cert": own.cert,
  "/key": own.key,
  "/another": another.key,
};

function read(environment: Record<string, string>) {
  return readApiSettings(environment, (path) => {
    const text = files[path];
    if (text === undefined) throw new Error(`ENOENT: ${path}`);
    return text;
  });
}

test("listens on this machine, on the port that is named, and asks nobody for a token there", () => {
  const listen = (address: string) => read({ SLUICE_API_LISTEN: address });
  expect(read({})).toEqual({ listen: { host: "127.0.0.1", port: 7380 }, token: null, tls: null });
  expect(listen("127.0.0.9:0").listen).toEqual({ host: "127.0.0.9", port: 0 });
  expect(listen("[::1]:80").listen).toEqual({ host: "::1", port: 80 });
  expect(listen("localhost:8080").listen).toEqual({ host: "localhost", port: 8080 });
});

test("refuses any other address without a token, and says what to do", () => {
  for (const address of ["0.0.0.0:80", "10.0.0.1:80", "[::]:80", "127.0.0.1.example.com:80"]) {
    expect(() => read({ SLUICE_API_LISTEN: address })).toThrow(/SLUICE_API_TOKEN is not set: .* Set a token/);
    expect(read({ SLUICE_API_LISTEN: address, SLUICE_API_TOKEN: TOKEN }).token).toBe(TOKEN);
  }
  for (const address of ["", "80", "localhost", "localhost:", "localhost:70000", "::1:80"]) {
    expect(() => read({ SLUICE_API_LISTEN: address })).toThrow(`${JSON.stringify(address)}; expected host:port`);
  }
});

test("takes the token from a file, and never shows one that it refuses", () => {
  expect(read({ SLUICE_API_TOKEN_FILE: "/token" }).token).toBe(TOKEN);
  expect(() => read({ SLUICE_API_TOKEN_FILE: "/none" })).toThrow('SLUICE_API_TOKEN_FILE names "/none", which can\'t be read');
  expect(() => read({ SLUICE_API_TOKEN: TOKEN, SLUICE_API_TOKEN_FILE: "/token" })).toThrow("both set; expected one of them");
  for (const token of ["", "short", "sixteen letters and spaces", `${TOKEN}\u00fc`]) {
    const refused = (): unknown => read({ SLUICE_API_TOKEN: token });
    expect(refused).toThrow(`SLUICE_API_TOKEN holds ${token.length} characters; expected 16 to 512`);
  }
});

test("takes a certificate with its key, and not the one without the other", () => {
  expect(read({ SLUICE_API_CERT: "/cert", SLUICE_API_KEY: "/key" }).tls).toEqual(own);
  expect(() => read({ SLUICE_API_CERT: "/cert" })).toThrow("SLUICE_API_CERT is set and SLUICE_API_KEY is not");
  expect(() => read({ SLUICE_API_KEY: "/key" })).toThrow("SLUICE_API_KEY is set and SLUICE_API_CERT is not");
  expect(() => read({ SLUICE_API_CERT: "/cert", SLUICE_API_KEY: "/other" })).toThrow('SLUICE_API_KEY names "/other"');
  for (const key of ["/another", "/token"]) {
    expect(() => read({ SLUICE_API_CERT: "/cert", SLUICE_API_KEY: key })).toThrow(
      /expected a certificate and its own key, PEM/,
    );
  }
});
