import { replyText, type ServerProbe } from "../probe/server-probe.ts";
import { pass, warn, type Look } from "../precheck.ts";
import type { Clock } from "@sluice/runtime";
import { spanText } from "../quantity.ts";
import { eachDestinationServer } from "../server-check.ts";

const MOST_SKEW_MS = 5_000;

/** How far a server's clock is ahead of ours, in ms. */
function judgeClock(aheadMs: number, sourceAheadMs: number): Look {
  const say = (ms: number): string => `${spanText(Math.abs(ms))} ${ms < 0 ? "behind" : "ahead"}`;
  const found = `${say(aheadMs - sourceAheadMs)} of the source, ${say(aheadMs)} of Sluice`;
  const isSkewed = Math.max(Math.abs(aheadMs), Math.abs(aheadMs - sourceAheadMs)) > MOST_SKEW_MS;
  return isSkewed ? warn(found) : pass(found);
}

/** By TIME, taken in the middle of the question. */
async function aheadOf(server: ServerProbe, clock: Clock): Promise<number> {
  await server.ask("PING");
  const began = clock.nowMs();
  const reply = await server.askAnew("TIME");
  const middle = (began + clock.nowMs()) / 2;
  const [seconds = 0, micros = 0] = Array.isArray(reply) ? reply.map((part) => Number(replyText(part))) : [];
  return seconds * 1000 + micros / 1000 - middle;
}

export const destinationClock = eachDestinationServer(
  {
    id: "destination-clock",
    title: "The clocks of the destinations agree with the source's and with ours",
    why: "Keys expire by the destination's own clock: one that is ahead lets them expire too early after the cut-over, one that is behind too late. Until then the grace covers it.",
    expected: `clocks at most ${MOST_SKEW_MS / 1000} s apart`,
    fix: "Set the clock by NTP on every machine (`timedatectl set-ntp true`).",
    warns: `a clock differs by more than ${MOST_SKEW_MS / 1000} s`,
    fails: null,
    code: "DST-013",
  },
  async (server, _destination, { source, clock }) =>
    judgeClock(await aheadOf(server, clock), await aheadOf(await source.seed(), clock)),
);
