import { expect, test } from "vitest";
import { whyNotFirstDatabase, type DatabaseUse } from "./other-databases.ts";

const ping = "# Commandstats\r\ncmdstat_ping:calls=9,usec=1,usec_per_call=0.11\r\n";
const client = (db: number, flags: string): string =>
  `id=3 addr=127.0.0.1:5 laddr=127.0.0.1:6 fd=8 name=db=7 age=0 idle=0 flags=${flags} db=${db} sub=0 cmd=get user=default\n`;
const clean: DatabaseUse = { databases: [0], commandStats: ping, clients: client(0, "N") };

// Mutations seen to fail it: other-databases.ts, each of the questions taken out; `flags` not looked at.
test.each<[string, Partial<DatabaseUse>, string | null]>([
  ["nobody was anywhere else", {}, null],
  ["it is empty", { databases: [] }, null],
  ["SELECT was refused to all", { commandStats: `${ping}cmdstat_select:calls=0,usec=0,rejected_calls=4\r\n` }, null],
  ["only a replica stands elsewhere", { clients: client(0, "N") + client(5, "S") }, null],
  ["keys elsewhere", { databases: [0, 3, 4] }, "keys stand in database 3, 4"],
  ["keys elsewhere alone", { databases: [3] }, "keys stand in database 3"],
  ["a drained queue", { commandStats: `${ping}cmdstat_select:calls=1,usec=0\r\n` }, "its clients have called SELECT"],
  ["statistics that were reset", { clients: client(0, "N") + client(1, "N") }, "a client is in database 1"],
  ["its own primary is elsewhere in the stream", { clients: client(2, "M") }, "a client is in database 2"],
  ["statistics may not be asked", { commandStats: null }, "it does not let us ask INFO commandstats (+info)"],
  ["a server without statistics", { commandStats: "" }, "INFO commandstats says nothing"],
  ["clients may not be asked", { clients: null }, "it does not let us ask CLIENT LIST (+client|list)"],
])("the stream is in database 0 only where it can't be elsewhere: %s", (_, changes, why) => {
  expect(whyNotFirstDatabase({ ...clean, ...changes })).toBe(why);
});
