import { RdbError, RdbReader, type RdbSink } from "@sluice/redis";
import { Retryable } from "@sluice/runtime";
import { Random } from "@sluice/testkit";
import { expect, test } from "vitest";
import { mutate, randomChunks } from "../libs/redis/src/resp/mutation.sample.ts";
import { RdbTransfer } from "../services/ingest/src/source/rdb-transfer.ts";

/** How many mutated headers are tried; the same ones for the same number of the seed. */
const INPUTS = Number(process.env["SLUICE_MUTATIONS"] ?? 4000);
const SEED = Number(process.env["SLUICE_MUTATION_SEED"] ?? 1);
const MARKER = "0123456789abcdef0123456789abcdef01234567";
/** An empty RDB without a checksum. */
const RDB = Buffer.concat([Buffer.from("REDIS0010\u00ff", "latin1"), Buffer.alloc(8)]);
const FORMS = [
  Buffer.concat([Buffer.from(`\n\n$${RDB.length}\r\n`), RDB]),
  Buffer.concat([Buffer.from(`\n$EOF:${MARKER}\r\n`), RDB, Buffer.from(MARKER)]),
];
const STREAM = Buffer.from("*1\r\n$4\r\nPING\r\n");

const none = (): void => undefined;
const sink: RdbSink = {
  aux: none,
  selectDb: none,
  resizeDb: none,
  functionLibrary: none,
  moduleAux: none,
  entry: none,
  entryStart: none,
  entryPart: none,
  entryEnd: none,
};

/** What a transfer makes of its input: where the stream begins behind it, that more is to come, or what error it is. */
function outcomeOf(chunks: Iterable<Buffer>): string {
  const transfer = new RdbTransfer(new RdbReader(sink), "source s0");
  let taken = 0;
  try {
    for (const chunk of chunks) {
      taken += transfer.push(chunk);
      if (transfer.done)
        return `${transfer.isDiskless ? "diskless" : "disk"}, ${transfer.passedBytes} bytes, stream at ${taken}`;
    }
  } catch (error) {
    if (error instanceof RdbError) return "no RDB";
    if (error instanceof Retryable && error.code === "SRC-004") return "refused";
    if (error instanceof Retryable && error.code === "SRC-020") return "not sent";
    throw error;
  }
  return `waits, ${transfer.passedBytes} bytes`;
}

// Mutations that were seen to fail in RdbTransfer: a header of which the first chunk alone is looked at; an RDB that may end before its announced length.
test(
  `of ${INPUTS} mutated full copies none is taken for a whole one but where all that was announced is there`,
  { timeout: 60_000 + INPUTS },
  () => {
    const random = new Random(SEED);
    const seen = new Set<string>();
    for (let input = 0; input < INPUTS; input++) {
      const { bytes } = mutate(Buffer.concat([random.pick(FORMS), STREAM]), random);
      const whole = outcomeOf([bytes]);
      seen.add(whole.split(",")[0]!);
      const problem =
        outcomeOf(randomChunks(bytes, random)) === whole
          ? isTrue(bytes, whole)
            ? null
            : "it is not so"
          : "another result in another split";
      if (problem !== null)
        expect.fail(`input ${input} of seed ${SEED}: ${whole}: ${problem}: ${JSON.stringify(bytes.toString("latin1"))}`);
    }
    expect([...seen].toSorted()).toEqual(["disk", "diskless", "no RDB", "not sent", "refused", "waits"]);
  },
);

/** Where the transfer says that it is done, the bytes before the stream are one of the two forms. */
function isTrue(bytes: Buffer, outcome: string): boolean {
  const end = /stream at (\d+)$/.exec(outcome);
  if (end === null) return true;
  const text = bytes.toString("latin1", 0, Number(end[1]));
  const [, length, disk] = /^\n*\$(\d+)\r?\n(.*)$/s.exec(text) ?? [];
  if (length !== undefined) return Number(length) === disk!.length;
  const [, marker, rdb] = /^\n*\$EOF:(.{40})\r?\n(.*)$/s.exec(text) ?? [];
  return marker !== undefined && rdb!.endsWith(marker);
}

test("every way to cut a full copy in two gives the same result", () => {
  for (const form of FORMS) {
    const bytes = Buffer.concat([form, STREAM]);
    const whole = outcomeOf([bytes]);
    expect(whole).toContain(`stream at ${form.length}`);
    for (let cut = 0; cut <= bytes.length; cut++)
      expect([cut, outcomeOf([bytes.subarray(0, cut), bytes.subarray(cut)])]).toEqual([cut, whole]);
  }
});

test("a header without an end is refused before it grows", () => {
  const transfer = new RdbTransfer(new RdbReader(sink), "source s0");
  let pushed = 0;
  expect(() => {
    for (; pushed < 10_000; pushed += 100) transfer.push(Buffer.alloc(100, "$"));
  }).toThrow(Retryable);
  expect(pushed).toBeLessThanOrEqual(1100);
});
