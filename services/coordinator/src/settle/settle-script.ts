import { createHash } from "node:crypto";
import { latestWithGraceMs, settlingShiftMs } from "@sluice/wire";

/** A script with the name that EVALSHA takes. */
export interface ServerScript {
  readonly body: string;
  readonly sha: string;
}

/** `mark`: even expiries become odd, 1 ms later. `settle`: odd ones lose the grace. */
export type SettleStep = "mark" | "settle";

export interface SettleRule {
  readonly step: SettleStep;
  readonly graceMs: number;
  /**
   * The destination may hold keys of somebody else, whose expiries are odd by chance: what would have expired already by the
   * rule is left to expire by itself.
   */
  readonly sparesThePast: boolean;
}

/** PEXPIRETIME came with 7.0 (Redis expire.c). */
const EXPIRETIME_SINCE = 70_000;
/** Scripts may write behind TIME from here on, by replicating their effects (Redis 3.2 scripting.c, replicate_commands). */
export const SETTLE_SINCE = 30_200;

/** Both clocks are read until they agree on the millisecond, so that the sum is the expiry itself and not 1 ms beside it. */
const EXPIRY_BY_CLOCK = `
local function expiry_of(key)
  while true do
    local before = clock()
    local left = redis.call('PTTL', key)
    local after = clock()
    if left < 0 then return -1 end
    if before == after then return before + left end
  end
end`;

const EXPIRY_BY_NAME = `
local function expiry_of(key) return redis.call('PEXPIRETIME', key) end`;

const CLOCK = `
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local now = clock()
if now > tonumber(ARGV[5]) then return -1 end`;

/**
 * ARGV: the step, what an odd expiry loses, the latest expiry that may carry a grace, 1 where the past is spared, and until when by
 * the server's own clock it may change anything.
 */
const NEXT = `
local function next_of(expiry)
  if expiry <= 0 or expiry > tonumber(ARGV[3]) then return nil end
  if ARGV[1] == 'mark' then
    if expiry % 2 == 0 then return expiry + 1 end
    return nil
  end
  if expiry % 2 == 0 then return nil end
  local settled = expiry - tonumber(ARGV[2])
  if ARGV[4] == '1' and settled <= now then return nil end
  return settled
end`;

function scriptOf(...parts: readonly string[]): ServerScript {
  const body = parts.join("").trim();
  return { body, sha: createHash("sha1").update(body).digest("hex") };
}

/**
 * Sets the expiry of each of its KEYS by a rule, in one step: whatever else sets it comes before or after, and is never overwritten
 * by what was read before it. Answers how many expiries it changed, or -1, and changes nothing, when it comes too late. An expiry in the
 * past deletes the key, as it should.
 */
export function keyScript(version: number): ServerScript {
  const isOld = version < EXPIRETIME_SINCE;
  return scriptOf(
    isOld ? "if redis.replicate_commands then redis.replicate_commands() end" : "",
    CLOCK,
    isOld ? EXPIRY_BY_CLOCK : EXPIRY_BY_NAME,
    NEXT,
    `
local changed = 0
for _, key in ipairs(KEYS) do
  local settled = next_of(expiry_of(key))
  if settled then
    redis.call('PEXPIREAT', key, string.format('%.0f', settled))
    changed = changed + 1
  end
end
return changed`,
  );
}

/** As `keyScript`, for the fields of a hash that ARGV[6] and all behind it name (HPEXPIRETIME: Redis 7.4, Valkey 9). */
export const fieldScript: ServerScript = scriptOf(
  CLOCK,
  NEXT,
  `
local fields = {}
for at = 6, #ARGV do fields[#fields + 1] = ARGV[at] end
local expiries = redis.call('HPEXPIRETIME', KEYS[1], 'FIELDS', #fields, unpack(fields))
if type(expiries) ~= 'table' then return 0 end
local changed = 0
for at, expiry in ipairs(expiries) do
  local settled = next_of(expiry)
  if settled then
    redis.call('HPEXPIREAT', KEYS[1], string.format('%.0f', settled), 'FIELDS', 1, fields[at])
    changed = changed + 1
  end
end
return changed`,
);

/** The call of a script; `untilMs`: by the server's clock; `fields`: for `fieldScript`, which takes one key. */
export function scriptCall(
  { sha }: ServerScript,
  { step, graceMs, sparesThePast }: SettleRule,
  untilMs: number,
  keys: readonly Buffer[],
  fields: readonly Buffer[] = [],
): (string | number | Buffer)[] {
  const rule = [step, settlingShiftMs(graceMs), latestWithGraceMs(graceMs), sparesThePast ? 1 : 0, untilMs];
  return ["EVALSHA", sha, keys.length, ...keys, ...rule, ...fields];
}
