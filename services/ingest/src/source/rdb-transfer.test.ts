import { readFileSync } from "node:fs";
import { RdbError, RdbReader, type RdbSink } from "@sluice/redis";
import { fixtureVersions, loadRecording, rdbPath, type RecordingName } from "@sluice/testkit";
import { expect, test } from "vitest";
import { RdbTransfer } from "./rdb-transfer.ts";

const MARKER = "m".repeat(40);

function counting(): { transfer: RdbTransfer; keys: () => number } {
  let keys = 0;
  const none = (): void => undefined;
  const sink: RdbSink = {
    aux: none,
    selectDb: none,
    resizeDb: none,
    functionLibrary: none,
    moduleAux: none,
    entry: () => keys++,
    entryStart: none,
    entryPart: none,
    entryEnd: () => keys++,
  };
  return { transfer: new RdbTransfer(new RdbReader(sink), "source s0"), keys: () => keys };
}

/** Pushes `bytes` in pieces of the given sizes, repeated, and returns how many the transfer took. */
function push(transfer: RdbTransfer, bytes: Buffer, sizes: readonly number[] = [bytes.length]): number {
  let at = 0;
  for (let turn = 0; at < bytes.length && !transfer.done; turn++) {
    const piece = bytes.subarray(at, at + (sizes[turn % sizes.length] as number));
    const taken = transfer.push(piece);
    at += taken;
    if (taken < piece.length) break;
  }
  return at;
}

const rdb = readFileSync(rdbPath("7.0.15"));
/** One a second while the source forks: five minutes of them. */
const NEWLINES = "\n".repeat(300);
const disk = Buffer.concat([Buffer.from(`${NEWLINES}$${rdb.length}\r\n`), rdb]);
const diskless = Buffer.concat([Buffer.from(`${NEWLINES}$EOF:${MARKER}\r\n`), rdb, Buffer.from(MARKER)]);
const stream = Buffer.from("*1\r\n$4\r\nPING\r\n");

test.each(
  fixtureVersions.flatMap((version) =>
    (["replication", "replication-diskless"] as const).map((name): [string, RecordingName] => [version, name]),
  ),
)("%s %s: takes exactly what precedes the stream, whatever the pieces", (version, name) => {
  const { content, bytes, rdbForm } = loadRecording(version as (typeof fixtureVersions)[number], name);
  const from = content.indexOf("\r\n", content.indexOf("+FULLRESYNC")) + 2;
  for (const sizes of [[content.length], [1], [7, 1, 4096], [65_536]]) {
    const { transfer, keys } = counting();
    expect(push(transfer, content.subarray(from), sizes)).toBe(bytes.streamStart - from);
    expect(transfer.done).toBe(true);
    expect(transfer.isDiskless).toBe(rdbForm === "diskless");
    expect(transfer.passedBytes).toBe(bytes.rdbEnd - bytes.rdbStart);
    expect(transfer.announcedBytes).toBe(rdbForm === "diskless" ? 0 : bytes.rdbEnd - bytes.rdbStart);
    expect(keys()).toBeGreaterThan(0);
  }
});

// Mutation: rdb-transfer.ts, `while (at < chunk.length && chunk[at] === LF) at++` taken out: a newline is no header. And `#pushMarker`
// that wants the marker in one piece: the diskless form is refused where it is cut there.
test("case 42: both forms, behind five minutes of newlines, cut in two at every byte near their seams", () => {
  for (const whole of [disk, diskless]) {
    const bytes = Buffer.concat([whole, stream]);
    const seams = [
      0,
      1,
      150,
      ...[...Array(60).keys()].map((at) => NEWLINES.length - 5 + at),
      ...[...Array(120).keys()].map((back) => bytes.length - 1 - back),
    ];
    for (const seam of seams) {
      const { transfer } = counting();
      const first = transfer.push(bytes.subarray(0, seam));
      const second = transfer.done ? 0 : transfer.push(bytes.subarray(seam));
      expect([first + second, transfer.done]).toEqual([whole.length, true]);
      expect(transfer.push(stream)).toBe(0);
    }
  }
});

const code = (fault: unknown): unknown => (fault instanceof RdbError ? "RdbError" : (fault as { code?: unknown }).code);

test.each<readonly [string, Buffer, string]>([
  ["an error in place of the header", Buffer.from("-ERR can't fork\r\n"), "SRC-020"],
  ["a header that is none", Buffer.from("+OK\r\n"), "SRC-004"],
  ["a length that is no number", Buffer.from("$-1\r\n"), "SRC-004"],
  ["a marker that is too short", Buffer.from("$EOF:abc\r\n"), "SRC-004"],
  ["a header that does not end", Buffer.alloc(5000, 120), "SRC-004"],
  ["fewer bytes announced than the RDB has", Buffer.concat([Buffer.from(`$${rdb.length - 1}\r\n`), rdb]), "RdbError"],
  ["no bytes announced", Buffer.concat([Buffer.from("$0\r\n"), stream]), "RdbError"],
  ["more bytes announced than the RDB has", Buffer.concat([Buffer.from(`$${rdb.length + 1}\r\n`), rdb, stream]), "SRC-004"],
  ["another marker at the end", Buffer.concat([diskless.subarray(0, -1), Buffer.from("n")]), "SRC-004"],
  ["a damaged RDB", Buffer.concat([disk.subarray(0, -100), Buffer.from("?"), disk.subarray(-99)]), "RdbError"],
])("refuses %s, in one piece and byte by byte", (_, bytes, expected) => {
  for (const sizes of [[bytes.length], [1], [3, 11, 1000]]) {
    const { transfer } = counting();
    let fault: unknown = null;
    try {
      push(transfer, bytes, sizes);
    } catch (cause) {
      fault = cause;
    }
    expect([code(fault), transfer.done]).toEqual([expected, false]);
    if (expected === "SRC-004") expect(fault).toMatchObject({ endpoint: "source s0" });
  }
});
