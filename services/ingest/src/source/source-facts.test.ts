import { expect, test } from "vitest";
import { readFacts } from "./source-facts.ts";

test("reads a version, the role, the histories and the number of keys from INFO", () => {
  const info = [
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone",
    "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_replid:abc\r\nmaster_replid2:def",
    "master_repl_offset:900\r\nsecond_repl_offset:301\r\nrepl_backlog_active:1\r\nrepl_backlog_size:1048576",
    "repl_backlog_first_byte_offset:101\r\nrepl_backlog_histlen:800",
    "# Keyspace\r\ndb0:keys=12,expires=3,avg_ttl=0\r\ndb7:keys=30,expires=0,avg_ttl=0\r\n",
  ].join("\r\n");
  expect(readFacts(info)).toEqual({
    version: 70_015,
    valkeyVersion: 0,
    role: "slave",
    replicaOf: "10.0.0.1:6379",
    replid: "abc",
    formerReplid: "def",
    secondReplOffset: 301,
    backlog: { first: 101, last: 900 },
    backlogSizeBytes: 1_048_576,
    keys: 42,
    databases: [0, 7],
    isCluster: false,
  });
});

test("fields that a server does not have read as none", () => {
  const none = {
    valkeyVersion: 0,
    role: "",
    replicaOf: "",
    replid: "",
    formerReplid: "",
    secondReplOffset: -1,
    backlog: null,
    keys: 0,
  };
  const more = { backlogSizeBytes: 0, databases: [], isCluster: false };
  expect(readFacts("redis_version:2.8.24\r\n")).toEqual({ version: 20_824, ...none, ...more });
  expect(readFacts("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n")).toMatchObject({
    version: 70_204,
    valkeyVersion: 90_102,
  });
  expect(readFacts("redis_version:unstable\r\n").version).toBe(0);
  expect(readFacts("redis_version:7.0.15\r\ncluster_enabled:1\r\n").isCluster).toBe(true);
  expect(readFacts("role:master\r\nrepl_backlog_active:0\r\nrepl_backlog_first_byte_offset:0\r\n")).toMatchObject({
    role: "master",
    replicaOf: "",
    backlog: null,
  });
});
