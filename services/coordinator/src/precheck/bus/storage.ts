import type { JetStreamFacts } from "@sluice/bus";
import { fail, pass, warn, type Look } from "../precheck.ts";
import { bytesText, spanText } from "../quantity.ts";
import { isCopied } from "../subject.ts";
import { busCheck } from "./bus-check.ts";

export interface StorageNeed {
  /** What is copied of the source. */
  readonly dataBytes: number;
  readonly bytesPerSecond: number;
  /** How long changes stay once they are applied. */
  readonly keepAppliedMs: number;
  /** The pipeline's own limit; null without. */
  readonly streamBytes: number | null;
}

export function judgeStorage(
  jetStream: JetStreamFacts,
  { dataBytes, bytesPerSecond, keepAppliedMs, streamBytes }: StorageNeed,
): Look {
  const { storedBytes, storageLimitBytes, streamLimitBytes, pipelineBytes } = jetStream;
  const need = dataBytes + bytesPerSecond * (keepAppliedMs / 1000);
  const account = storageLimitBytes === null ? null : Math.max(0, storageLimitBytes - storedBytes + pipelineBytes);
  const limits = [account, streamLimitBytes, streamBytes].filter((limit) => limit !== null);
  const needs = `a copy of about ${bytesText(dataBytes)} and ${spanText(keepAppliedMs)} of changes make ${bytesText(need)}`;
  if (limits.length === 0) return pass(`${needs}; the account has no limit: the disks of the nats-servers must have room`);
  const room = Math.min(...limits);
  const found = `${needs}; the stream may hold ${bytesText(room)}`;
  if (room < dataBytes) {
    return fail(found, { expected: `room for ${bytesText(dataBytes)} at least: a copy must fit whole (BUS-006)` });
  }
  return room < need ? warn(found) : pass(found);
}

export const busStorage = busCheck(
  {
    id: "bus-storage",
    title: "JetStream has room for a copy and what is kept behind it",
    why: "A copy waits in the stream until it is applied, and changes stay for `keepApplied`. A stream that is full stops the source from being read; a copy that does not fit fails.",
    expected: "room for the source's data and the changes of `keepApplied`",
    fix: "Raise `limits.streamBytes` of the pipeline, `max_storage` of the NATS account, or `max_file_store` of the nats-servers.",
    warns: "there is room for a copy, and not for the changes that are kept behind it",
    fails:
      "the limits of the pipeline, the account or its streams are below the size of a copy; can be waived, the size is an estimate",
    code: "BUS-005",
    isWaivable: true,
  },
  async ({ jetStream }, { source, subject }) => {
    if (jetStream === null) return pass("JetStream does not answer");
    const dataBytes = isCopied(subject) ? await source.dataBytes() : 0;
    const { bytesPerSecond } = await source.totalWriteRate();
    const { keepAppliedMs, streamBytes } = subject;
    return judgeStorage(jetStream, { dataBytes, bytesPerSecond, keepAppliedMs, streamBytes });
  },
);
