import { describe, expect, test } from "vitest";
import { readServiceConfig } from "./config.ts";
import { Halt } from "./fault.ts";

const key = "0123456789abcdefABCDEF0123456789".repeat(2);

describe("the configuration of a service", () => {
  test("has defaults", () => {
    const config = readServiceConfig({}, "host.example");
    expect(config).toMatchObject({ natsUrl: "nats://127.0.0.1:4222", logLevel: "info", secretKey: null, streamReplicas: 1 });
    expect(config.instance).toMatch(/^host-example-[0-9a-f]{6}$/);
    expect(readServiceConfig({}).instance).not.toBe(config.instance);
  });

  test("takes what it is told", () => {
    const environment = {
      SLUICE_NATS_URL: "nats://a:1,nats://b:2",
      SLUICE_INSTANCE: "w_1-A",
      SLUICE_LOG_LEVEL: "warn",
      SLUICE_SECRET_KEY: key,
      SLUICE_STREAM_REPLICAS: "3",
    };
    expect(readServiceConfig(environment)).toMatchObject({
      natsUrl: "nats://a:1,nats://b:2",
      instance: "w_1-A",
      logLevel: "warn",
      secretKey: Buffer.from(key, "hex"),
      streamReplicas: 3,
    });
  });

  test("makes a name that it takes itself, however long the host's is", () => {
    const { instance } = readServiceConfig({}, "h".repeat(64));
    expect(readServiceConfig({ SLUICE_INSTANCE: instance }).instance).toBe(instance);
  });

  test.each([
    ["SLUICE_NATS_URL", "", "SLUICE_NATS_URL names no server"],
    ["SLUICE_NATS_URL", "nats://a:1,", "SLUICE_NATS_URL names no server"],
    ["SLUICE_INSTANCE", "", 'SLUICE_INSTANCE is ""; expected 1 to 64'],
    ["SLUICE_INSTANCE", "a.b", 'SLUICE_INSTANCE is "a.b"; expected'],
    ["SLUICE_INSTANCE", "a".repeat(65), "expected 1 to 64"],
    ["SLUICE_LOG_LEVEL", "loud", 'SLUICE_LOG_LEVEL is "loud"; expected one of trace, debug'],
    ["SLUICE_STREAM_REPLICAS", "", 'SLUICE_STREAM_REPLICAS is ""; expected a whole number from 1 to 5'],
    ["SLUICE_STREAM_REPLICAS", "6", 'SLUICE_STREAM_REPLICAS is "6"; expected'],
    ["SLUICE_SECRET_KEY", "", "SLUICE_SECRET_KEY is not 64 hexadecimal digits"],
    ["SLUICE_SECRET_KEY", `${key.slice(1)}g`, "SLUICE_SECRET_KEY is not 64 hexadecimal digits"],
    ["SLUICE_SECRET_KEY", key.slice(1), "SLUICE_SECRET_KEY is not 64 hexadecimal digits"],
  ])("refuses %s=%j", (name, value, message) => {
    const read = (): unknown => readServiceConfig({ [name]: value });
    expect(read).toThrow(Halt);
    expect(read).toThrow(message);
  });

  test("never prints the key", () => {
    expect(() => readServiceConfig({ SLUICE_SECRET_KEY: "hunter2" })).not.toThrow("hunter2");
  });
});
