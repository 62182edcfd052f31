import { ManualClock } from "@sluice/runtime";
import { expect, test } from "vitest";
import { findAttachment } from "./attachment.ts";
import type { SourceFacts } from "./source-facts.ts";

const facts: SourceFacts = {
  version: 70_015,
  role: "master",
  replicaOf: "",
  replid: "r",
  formerReplid: "0000",
  secondReplOffset: -1,
  backlog: { first: 1, last: 500 },
  backlogSizeBytes: 1_000,
  keys: 3,
  databases: [0],
  isCluster: true,
};
// Nothing of this may connect anywhere.
const nowhere = { host: "127.0.0.1", port: 1 };
const find = async (changes: Partial<SourceFacts>): Promise<unknown> =>
  findAttachment("s0", nowhere, { ...facts, ...changes }, new ManualClock(), new AbortController().signal);

test("a cluster's node has one database: it is attached to where it stands", async () => {
  expect(await find({})).toEqual({ replid: "r", offset: 500, db: 0 });
});

test("a backlog that holds nothing yet: the first write will name its database", async () => {
  const changes = { isCluster: false, backlog: { first: 501, last: 500 } };
  expect(await find({ ...changes, databases: [] })).toEqual({ replid: "r", offset: 500, db: 0 });
  expect(await find({ ...changes, databases: [3] })).toEqual({ replid: "r", offset: 500, db: 3 });
});

test.each<[string, Partial<SourceFacts>]>([
  ["it names no replication id, as Redis before 4.0 does not", { replid: "" }],
  ["it keeps no backlog, since no replica was attached to it lately", { backlog: null }],
  [
    "its backlog does not tell which of the databases 0, 3 its stream is in",
    { isCluster: false, backlog: { first: 501, last: 500 }, databases: [0, 3] },
  ],
])("refused by name: %s", async (why, changes) => {
  await expect(find(changes)).rejects.toMatchObject({
    code: "SRC-018",
    message: `source s0 can't be attached to without a copy: ${why}`,
  });
});
