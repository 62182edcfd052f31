import { fail, pass, warn, type Look } from "../precheck.ts";
import type { ServerState } from "../probe/server-state.ts";
import type { WriteRate } from "../probe/source-probe.ts";
import { bytesText, spanText } from "../quantity.ts";
import { eachSourceServer } from "../server-check.ts";
import { isCopied } from "../subject.ts";

/** What is missing then can never be had: an absence of this length is to be borne. */
const ABSENCE_MS = 600_000;

export interface AttachmentFacts {
  readonly state: Pick<ServerState, "text" | "number" | "keyspace" | "calls" | "isCluster" | "replicas">;
  readonly rate: WriteRate;
  /** `repl-backlog-ttl`, in seconds; 0: the backlog is never given up. Null where the server does not tell. */
  readonly ttlSeconds: number | null;
}

/** What may go wrong later, and what to do about it. */
interface Doubt {
  readonly text: string;
  readonly fix: string;
}

/** Without a backlog there is nothing to attach to; everything else is about how long it will do, and about the database. */
export function judgeAttachment({ state, rate, ttlSeconds }: AttachmentFacts): Look {
  if (state.text("master_replid") === "") {
    return fail("it names no replication id, as Redis before 4.0 does not", {
      fix: "Such a source can only be copied: `mode: full+changes`.",
    });
  }
  if (state.text("repl_backlog_active") !== "1") return fail("repl_backlog_active:0: it keeps no backlog");
  const size = state.number("repl_backlog_size") ?? 0;
  const lastsMs = rate.bytesPerSecond === 0 ? Infinity : (size / rate.bytesPerSecond) * 1000;
  const lasts = lastsMs === Infinity ? "nothing is written now" : `which lasts ${spanText(lastsMs)} at the rate of now`;
  const found = `a backlog of ${bytesText(size)}, ${lasts}`;
  const doubts = [tooSmall(lastsMs, rate), givenUp(state, ttlSeconds), untoldDatabase(state)].filter((one) => one !== null);
  if (doubts.length === 0) return pass(found);
  return warn([found, ...doubts.map(({ text }) => text)].join("; "), { fix: doubts.map(({ fix }) => fix).join(" ") });
}

function tooSmall(lastsMs: number, { bytesPerSecond }: WriteRate): Doubt | null {
  if (lastsMs >= ABSENCE_MS) return null;
  const least = Math.max(1, Math.ceil((bytesPerSecond * (ABSENCE_MS / 1000)) / 2 ** 20));
  return {
    text: "when Sluice or the network is away for longer the pipeline halts for good (SRC-019)",
    fix: `\`CONFIG SET repl-backlog-size ${least}mb\` on every node bears ${spanText(ABSENCE_MS)}.`,
  };
}

/** While a replica of the source's own is attached the backlog stays. */
function givenUp({ replicas }: AttachmentFacts["state"], ttlSeconds: number | null): Doubt | null {
  if (ttlSeconds === null || ttlSeconds === 0 || replicas > 0) return null;
  return {
    text: `the source gives its backlog up when no replica was attached for ${spanText(ttlSeconds * 1000)} (repl-backlog-ttl)`,
    fix: "`CONFIG SET repl-backlog-ttl 0` on every node keeps it.",
  };
}

/** The backlog tells, if there is a SELECT in it: that is read when the pipeline attaches. */
function untoldDatabase({ isCluster, keyspace, calls }: AttachmentFacts["state"]): Doubt | null {
  const others = [...keyspace.keys()].filter((db) => db !== 0);
  if (isCluster || (others.length === 0 && !calls.has("SELECT"))) return null;
  const why = others.length > 0 ? `keys stand in database ${others.join(", ")}` : "its clients have called SELECT";
  return {
    text: `${why}: which database its stream is in the backlog has to tell`,
    fix: "Right before the start write once in each of two databases (`redis-cli -n 1 SET sluice-hint 1 EX 60`, then the same with `-n 0`).",
  };
}

export const sourceAttachment = eachSourceServer(
  {
    id: "source-attachment",
    title: "With `mode: changes`: the source can be attached to, and stays so",
    why: "Changes alone are attached to at the end of the source's backlog. What a backlog no longer holds is missing for good then, and the pipeline halts (SRC-019): nothing is copied in its place.",
    expected: "a backlog that is kept, holds ten minutes, and tells the database",
    fix: "A source begins a backlog with its first replica: attach any to it for a moment, set `CONFIG SET repl-backlog-ttl 0`, and check again. Or copy: `mode: full+changes`.",
    warns:
      "the backlog lasts for less than ten minutes, is given up while no replica is attached, or several databases are in use",
    fails: "the source keeps no backlog, or is older than Redis 4.0",
    code: "SRC-018",
    applies: ({ subject }) => !isCopied(subject),
  },
  async (server, { source }) => {
    const ttl = await server.setting("repl-backlog-ttl");
    const rate = await source.writeRate(server);
    return judgeAttachment({ state: await server.state(), rate, ttlSeconds: ttl === null ? null : Number(ttl) });
  },
);
