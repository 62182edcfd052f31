import { pass, warn, type Look } from "../precheck.ts";
import { bytesText } from "../quantity.ts";
import { eachDestinationServer } from "../server-check.ts";

/** What a string of a Redis may take unless told otherwise (config.c, proto-max-bulk-len). */
const DEFAULT_BULK_BYTES = 512 * 2 ** 20;

/** Settings in bytes; null where the version has none. */
function judgeBulkLength(bulk: number | null, sourceBulk: number | null, queryBuffer: number | null): Look {
  const [takes, sends] = [bulk ?? DEFAULT_BULK_BYTES, sourceBulk ?? DEFAULT_BULK_BYTES];
  const found = `proto-max-bulk-len ${bytesText(takes)} (source ${bytesText(sends)}), client-query-buffer-limit ${
    queryBuffer === null ? "fixed" : bytesText(queryBuffer)
  }`;
  if (takes < sends)
    return warn(found, { fix: `\`CONFIG SET proto-max-bulk-len ${sends}\` on every node of the destination.` });
  if (queryBuffer === null || queryBuffer >= takes) return pass(found);
  return warn(found, { fix: `\`CONFIG SET client-query-buffer-limit ${2 * takes}\` on every node of the destination.` });
}

const bytes = (text: string | null): number | null => (text === null ? null : Number(text));

export const destinationBulkLength = eachDestinationServer(
  {
    id: "destination-bulk-length",
    title: "Every destination takes values as large as the source's",
    why: "A value above proto-max-bulk-len or client-query-buffer-limit makes the destination close the connection, again and again.",
    expected: "proto-max-bulk-len no lower than the source's, and client-query-buffer-limit above it",
    fix: "Raise both on every node of the destination.",
    warns: "one of the limits is below what the source may hold",
    fails: null,
    code: "DST-001",
  },
  async (server, _destination, { source }) => {
    const sourceBulk = await (await source.seed()).setting("proto-max-bulk-len");
    const [bulk, buffer] = [await server.setting("proto-max-bulk-len"), await server.setting("client-query-buffer-limit")];
    return judgeBulkLength(bytes(bulk), bytes(sourceBulk), bytes(buffer));
  },
);
