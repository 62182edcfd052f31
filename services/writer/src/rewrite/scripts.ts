/**
 * Lua for what several old commands do together only if they know what they find. Each is a whole step of its unit, and repeats nothing. What they run
 * into ends with the code REWRITTEN: at the source the command went well, so the destination differs. (A script of the source may fail as it did there.)
 */
function ownScript(body: string): string {
  return `local went, found = pcall(function()
${body}
end)
if went then return found end
return redis.error_reply('REWRITTEN ' .. (type(found) == 'table' and found.err or tostring(found)))`;
}

/** The exact expiry of KEYS[1] as `at`, text in ms, or nil. PTTL tells the rest; both clocks must have read the same millisecond. Redis 3.2. */
const EXPIRY = `redis.replicate_commands()
local function expiryOf(key)
  while true do
    local before = redis.call('TIME')
    local left = redis.call('PTTL', key)
    local after = redis.call('TIME')
    if left < 0 then return nil end
    local from = before[1] * 1000 + math.floor(before[2] / 1000)
    if from == after[1] * 1000 + math.floor(after[2] / 1000) then return string.format('%.0f', from + left) end
  end
end
`;

/** SET that keeps the expiry. KEYS: key. ARGV: value. */
export const SET_KEEPING = ownScript(`${EXPIRY}local at = expiryOf(KEYS[1])
redis.call('SET', KEYS[1], ARGV[1])
if at then redis.call('PEXPIREAT', KEYS[1], at) end
return 1`);

/** COPY. KEYS: from, to. ARGV: database of the second, or the empty string; REPLACE, or the empty string. */
export const COPY = ownScript(`${EXPIRY}local at = expiryOf(KEYS[1])
local value = redis.call('DUMP', KEYS[1])
if not value then return 0 end
if ARGV[1] ~= '' then redis.call('SELECT', ARGV[1]) end
if ARGV[2] == '' then redis.call('RESTORE', KEYS[2], 0, value) else redis.call('RESTORE', KEYS[2], 0, value, 'REPLACE') end
if at then redis.call('PEXPIREAT', KEYS[2], at) end
return 1`);

/** LMOVE. KEYS: from, to. ARGV: LPOP or RPOP; LPUSH or RPUSH. A list that is moved into itself may have one element, and an expiry. */
export const MOVE_ELEMENT = ownScript(`redis.call('LLEN', KEYS[2])
if KEYS[1] == KEYS[2] and redis.call('LLEN', KEYS[1]) < 2 then return 0 end
local element = redis.call(ARGV[1], KEYS[1])
if element then redis.call(ARGV[2], KEYS[2], element) end
return 1`);

/** ZADD with conditions. KEYS: key. ARGV: conditions, each with a blank behind it; score, member, … */
export const ADD_IF = ownScript(`local function asked(word) return string.find(ARGV[1], word .. ' ', 1, true) ~= nil end
for i = 2, #ARGV, 2 do
  local found = redis.call('ZSCORE', KEYS[1], ARGV[i + 1])
  local wanted
  if found then
    local old, new = tonumber(found), tonumber(ARGV[i])
    wanted = not asked('NX') and not (asked('GT') and new <= old) and not (asked('LT') and new >= old)
  else
    wanted = not asked('XX')
  end
  if wanted then redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return 1`);

/** ZRANGESTORE. KEYS: to, from. ARGV: how to read the second; \`scores\` where the members come with them; its arguments. */
export const STORE_RANGE = ownScript(`local read = {ARGV[1], KEYS[2]}
for i = 3, #ARGV do read[#read + 1] = ARGV[i] end
local found = redis.call(unpack(read))
local added = {}
if ARGV[2] == 'scores' then
  for i = 1, #found, 2 do added[#added + 1] = {found[i + 1], found[i]} end
else
  for i = 1, #found do added[#added + 1] = {redis.call('ZSCORE', KEYS[2], found[i]), found[i]} end
end
redis.call('DEL', KEYS[1])
for i = 1, #added do redis.call('ZADD', KEYS[1], added[i][1], added[i][2]) end
return #added`);

/** ZDIFFSTORE. KEYS: to, from, others. A set's members count 1. */
export const STORE_DIFFERENCE = ownScript(`local function membersOf(key)
  if redis.call('TYPE', key).ok == 'set' then
    local found, members = redis.call('SMEMBERS', key), {}
    for i = 1, #found do members[#members + 1] = found[i] members[#members + 1] = '1' end
    return members
  end
  return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
end
local found, gone = membersOf(KEYS[2]), {}
for k = 3, #KEYS do
  local others = membersOf(KEYS[k])
  for i = 1, #others, 2 do gone[others[i]] = true end
end
redis.call('DEL', KEYS[1])
for i = 1, #found, 2 do
  if not gone[found[i]] then redis.call('ZADD', KEYS[1], found[i + 1], found[i]) end
end
return 1`);

/** XTRIM MINID. KEYS: key. ARGV: the last id that goes. */
export const TRIM_UP_TO = ownScript(`while true do
  local entries = redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', 1000)
  for i = 1, #entries do redis.call('XDEL', KEYS[1], entries[i][1]) end
  if #entries < 1000 then return 1 end
end`);

/** XDELEX, XACKDEL with DELREF: no group remembers the entries any more. KEYS: key. ARGV: ids. */
export const DELETE_WITH_REFERENCES = ownScript(`local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
for g = 1, #groups do
  for i = 1, #ARGV do redis.call('XACK', KEYS[1], groups[g][2], ARGV[i]) end
end
for i = 1, #ARGV do redis.call('XDEL', KEYS[1], ARGV[i]) end
return 1`);

/** XACKDEL of several: only those go that were pending in the group. KEYS: key. ARGV: group; DELREF, or the empty string; ids. */
export const DELETE_PENDING = ownScript(`local groups = ARGV[2] == 'DELREF' and redis.call('XINFO', 'GROUPS', KEYS[1]) or {}
for i = 3, #ARGV do
  if redis.call('XACK', KEYS[1], ARGV[1], ARGV[i]) == 1 then
    for g = 1, #groups do redis.call('XACK', KEYS[1], groups[g][2], ARGV[i]) end
    redis.call('XDEL', KEYS[1], ARGV[i])
  end
end
return 1`);

/** HSETEX KEEPTTL where HSET drops expiries. KEYS: key. ARGV: field, value, … */
export const SET_FIELDS_KEEPING = ownScript(`for i = 1, #ARGV, 2 do
  local told = redis.call('HPEXPIRETIME', KEYS[1], 'FIELDS', 1, ARGV[i])
  local at = type(told) == 'table' and told[1] or -1
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  if at > 0 then redis.call('HPEXPIREAT', KEYS[1], string.format('%.0f', at), 'FIELDS', 1, ARGV[i]) end
end
return 1`);

/** In place of a command that can't be run: fails as one that found another state, so that its keys come from the source. ARGV: what lacks. */
export const REFUSED = `return redis.error_reply('REWRITTEN the destination lacks ' .. ARGV[1])`;
