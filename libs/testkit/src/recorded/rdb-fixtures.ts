import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { CanonicalContent, CanonicalKey } from "../compare/canonical.ts";
import { fixturesDir } from "./fixtures.ts";

/** The servers that wrote fixtures, each with a folder of that name: RDB versions 6 to 12 of Redis, 11 and 80 of Valkey. */
export const fixtureServers: readonly string[] = readdirSync(fixturesDir, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .toSorted();

/** A key with what an RDB file tells of it beside its content; `pexpireat` of fields stands in the hash's value. */
export type FixtureKey = CanonicalKey & {
  /** As the server answered just before the file was written. */
  readonly freq?: number;
  /** Seconds that the key was created with; the file may say a second or two more. */
  readonly idle?: number;
};

export interface RdbFixture {
  /** `<server>/<file>`. */
  readonly name: string;
  readonly server: string;
  readonly bytes: Buffer;
  /** What the server that wrote the file answers about it. */
  readonly expected: Omit<CanonicalContent, "keys"> & { readonly keys: readonly FixtureKey[] };
}

/** Every RDB file: `dump.rdb` with every type and encoding of its server, small ones for what only some settings write. */
export function rdbFixtures(): RdbFixture[] {
  return fixtureServers.flatMap((server) =>
    filesOf(server, /^dump.*\.rdb$/).map((file) => ({
      name: `${server}/${file}`,
      server,
      bytes: readFileSync(join(fixturesDir, server, file)),
      expected: JSON.parse(
        gunzipSync(
          readFileSync(join(fixturesDir, server, file.replace("dump", "expected").replace(".rdb", ".json.gz"))),
        ).toString(),
      ) as RdbFixture["expected"],
    })),
  );
}

/** The RDB inside every recorded replication link that got one, with what followed it there. */
export function recordedRdbs(): { readonly name: string; readonly rdb: Buffer; readonly after: Buffer }[] {
  return fixtureServers.flatMap((server) =>
    filesOf(server, /^replication.*\.bin$/).flatMap((file) => {
      const path = join(fixturesDir, server, file);
      const { bytes } = JSON.parse(readFileSync(path.replace(/bin$/, "json"), "utf8")) as {
        bytes: { rdbStart?: number; rdbEnd?: number };
      };
      if (bytes.rdbStart === undefined) return [];
      const content = readFileSync(path);
      return [
        {
          name: `${server}/${file}`,
          rdb: content.subarray(bytes.rdbStart, bytes.rdbEnd),
          after: content.subarray(bytes.rdbEnd),
        },
      ];
    }),
  );
}

function filesOf(server: string, pattern: RegExp): string[] {
  return readdirSync(join(fixturesDir, server))
    .filter((file) => pattern.test(file))
    .toSorted();
}
