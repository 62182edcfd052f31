import type { Reply } from "./pipeline.ts";

/** What to do about a reply that says that a command was not executed. */
export type Redirect =
  /** Ask that node from now on. */
  | { readonly kind: "moved"; readonly host: string; readonly port: number }
  /** Ask that node this time, after ASKING. */
  | { readonly kind: "ask"; readonly host: string; readonly port: number }
  /** Ask again a little later; the owner may be another one by then. */
  | { readonly kind: "later" };

/** Where the client refuses to send because it is not connected (ioredis without its offline queue). */
const NOT_SENT = "Stream isn't writeable";

/** Undefined for every other reply, in particular for one that never came (see the cluster specification, "Redirection"). */
export function redirectOf(reply: Reply): Redirect | undefined {
  if (!(reply instanceof Error)) return undefined;
  if (reply.name !== "ReplyError") return reply.message.startsWith(NOT_SENT) ? { kind: "later" } : undefined;
  const [, word, host = "", port] = /^(MOVED|ASK) \d+ (.*):(\d+)$/.exec(reply.message) ?? [];
  if (word !== undefined) return { kind: word === "ASK" ? "ask" : "moved", host, port: Number(port) };
  return /^(TRYAGAIN|CLUSTERDOWN|LOADING|MASTERDOWN) /.test(reply.message) ? { kind: "later" } : undefined;
}
