import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fixturesDir, Random } from "@sluice/testkit";
import { expect, test } from "vitest";
import { CommandKind } from "../commands/command-kind.ts";
import { commandTable } from "../commands/command-table.ts";
import { CommandFramer } from "./command-framer.ts";

interface Described {
  readonly fullresync: { readonly offset: number };
  readonly bytes: { readonly streamStart: number };
  readonly finalOffset: number;
  readonly streamCommands?: Readonly<Record<string, number>>;
}

interface RecordedStream {
  readonly title: string;
  readonly described: Described;
  readonly stream: Buffer;
}

/** Every recorded link that got as far as its stream. */
function recordedStreams(): RecordedStream[] {
  const servers = readdirSync(fixturesDir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return servers.flatMap(({ name: server }) =>
    readdirSync(join(fixturesDir, server))
      .filter((file) => /^replication.*\.json$/.test(file))
      .flatMap((file) => {
        const path = join(fixturesDir, server, file);
        const described = JSON.parse(readFileSync(path, "utf8")) as Described;
        if (described.streamCommands === undefined) return [];
        const stream = readFileSync(path.replace(/json$/, "bin")).subarray(described.bytes.streamStart);
        return [{ title: `${server} ${file.replace(".json", "")}`, described, stream }];
      }),
  );
}

const recorded = recordedStreams();

/** What a stream says when it arrives in chunks that end at these positions. */
function framed(
  stream: Buffer,
  offset: number,
  ends: readonly number[],
): { counts: Record<string, number>; offset: number; bytes: number } {
  const framer = new CommandFramer({ offset });
  const counts: Record<string, number> = {};
  let bytes = 0;
  let from = 0;
  for (const end of [...ends, stream.length]) {
    framer.push(stream.subarray(from, end));
    from = end;
    while (framer.next()) {
      const name = framer.buffer.toString("latin1", framer.argStart(0), framer.argEnd(0)).toUpperCase();
      counts[name] = (counts[name] ?? 0) + 1;
      bytes += framer.end - framer.start;
    }
  }
  expect(framer.pendingBytes).toBe(0);
  return { counts, offset: framer.offset, bytes };
}

test("there are streams of thirteen servers", () => {
  expect(new Set(recorded.map(({ title }) => title.split(" ")[0])).size).toBeGreaterThanOrEqual(13);
  expect(recorded.length).toBeGreaterThanOrEqual(39);
});

// Mutations that were seen to fail: `offset` of the framer counted without the header; a partial command whose arguments are counted from 0 again.
test.each(recorded.map((each): [string, RecordedStream] => [each.title, each]))(
  "%s: is framed whole, with the commands and the last offset that were recorded, however it arrives",
  (_, { described, stream }) => {
    const random = new Random(stream.length);
    const splits = [1, 2, 3, 10, 100, 1000].map((count) =>
      Array.from({ length: count - 1 }, () => random.between(0, stream.length)).toSorted((a, b) => a - b),
    );
    for (const ends of splits) {
      const { counts, offset, bytes } = framed(stream, described.fullresync.offset, ends);
      expect(counts).toEqual(described.streamCommands);
      expect(offset).toBe(described.finalOffset);
      expect(bytes).toBe(stream.length);
    }
  },
);

test("the shortest of them is framed the same in every way to cut it in two", () => {
  const { described, stream } = recorded.toSorted((a, b) => a.stream.length - b.stream.length)[0]!;
  for (let end = 0; end <= stream.length; end++)
    expect([end, framed(stream, described.fullresync.offset, [end]).counts]).toEqual([end, described.streamCommands]);
});

// Mutations that were seen to fail: HGETDEL taken out of the added commands; MSETEX out of `movableKeyRules`.
test.each(recorded.map((each): [string, RecordedStream] => [each.title, each]))(
  "%s: the kind and the keys of every command are known",
  (_, { stream }) => {
    const framer = new CommandFramer();
    framer.push(stream);
    const out = new Int32Array(1024);
    const problems: string[] = [];
    while (framer.next()) {
      const id = commandTable.idOfCommand(framer);
      const kind = commandTable.kind[id] ?? CommandKind.forbidden;
      const isKeyed = kind === CommandKind.write || kind === CommandKind.script;
      const keys = isKeyed ? commandTable.keyArgs(id, framer, out) : 0;
      if (kind !== CommandKind.forbidden && keys >= 0 && (kind !== CommandKind.write || keys > 0)) continue;
      problems.push(framer.buffer.toString("latin1", framer.start, framer.end).slice(0, 100));
    }
    expect(problems).toEqual([]);
  },
);
