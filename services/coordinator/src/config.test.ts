import { expect, test } from "vitest";
import { readListenAddress } from "./config.ts";

const read = (listen?: string) => readListenAddress(listen === undefined ? {} : { SLUICE_API_LISTEN: listen });

test("listens on this machine, on the port that is named", () => {
  expect(read()).toEqual({ host: "127.0.0.1", port: 7380 });
  expect(read("127.0.0.9:0")).toEqual({ host: "127.0.0.9", port: 0 });
  expect(read("[::1]:80")).toEqual({ host: "::1", port: 80 });
  expect(read("localhost:8080")).toEqual({ host: "localhost", port: 8080 });
});

test("refuses every other address, and says what was read", () => {
  for (const listen of ["0.0.0.0:80", "10.0.0.1:80", "[::]:80", "127.0.0.1.example.com:80"]) {
    expect(() => read(listen)).toThrow(`${JSON.stringify(listen)}; this release listens on this machine only`);
  }
  for (const listen of ["", "80", "localhost", "localhost:", "localhost:70000", "::1:80"]) {
    expect(() => read(listen)).toThrow(`${JSON.stringify(listen)}; expected host:port`);
  }
});
